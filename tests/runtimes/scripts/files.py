"""Files and directories through os, pathlib, shutil, glob and tempfile."""

import errno
import glob
import io
import os
import pathlib
import shutil
import stat
import tempfile

root = pathlib.Path("made")
for name in ("a/b/c", "a/d", "e"):
    (root / name).mkdir(parents=True)
for number in range(20):
    (root / f"a/file{number:02}").write_text(f"text {number}\n" * number)
(root / "a/b/link").symlink_to("../file03")
os.link(root / "a/file05", root / "e/hard")

for top, directories, files in os.walk(root):
    directories.sort()
    print(top, directories, sorted(files))
print(sorted(glob.glob("made/**/*1*", recursive=True)))
print(sorted(str(path) for path in root.rglob("*e0*")))
with os.scandir(root / "a") as entries:
    print(sorted((entry.name, entry.is_dir(), entry.is_symlink(), entry.stat().st_size) for entry in entries)[:4])

shutil.copytree(root / "a", root / "copy", symlinks=True)
shutil.copy2(root / "a/file07", root / "e/copied")
shutil.move(root / "copy/d", root / "moved")
print(sorted(os.listdir(root)), (root / "copy/b/link").readlink(), (root / "e/copied").stat().st_size)
print((root / "e/hard").stat().st_nlink, (root / "a/file05").samefile(root / "e/hard"))
shutil.rmtree(root / "copy")
print((root / "copy").exists(), shutil.disk_usage(root).total > 0)

with open(root / "random", "w+b", buffering=0) as file:
    file.write(bytes(range(256)) * 64)
    file.seek(-300, io.SEEK_END)
    print(file.tell(), file.read(8), os.pread(file.fileno(), 4, 65))
    os.pwrite(file.fileno(), b"here", 1 << 20)
    print(os.fstat(file.fileno()).st_size, file.truncate(70), os.stat(root / "random").st_size)
    print(os.posix_fallocate(file.fileno(), 0, 5000), os.fstat(file.fileno()).st_size)
    os.fsync(file.fileno())
with open(root / "text", "w", encoding="utf-8") as file:
    print("grüße", "привет", sep="\n", file=file)
with open(root / "text", encoding="utf-8") as file:
    print([line.strip() for line in file], (root / "text").stat().st_size)

os.chmod(root / "text", 0o640)
os.utime(root / "text", ns=(1_000_000_007, 2_000_000_009))
status = os.stat(root / "text")
print(stat.filemode(status.st_mode), status.st_atime_ns, status.st_mtime_ns, os.access(root / "text", os.X_OK))
os.replace(root / "text", root / "renamed")
for action in (
    lambda: open("missing/file"),
    lambda: os.mkdir(root),
    lambda: os.rmdir(root),
    lambda: os.listdir(root / "renamed"),
    lambda: open(root, "w"),
    lambda: os.readlink(root),
    lambda: os.rename(root, root / "a/below"),
    lambda: os.open(root / "renamed", os.O_CREAT | os.O_EXCL),
    lambda: open("x" * 300),
    lambda: os.close(999),
):
    try:
        print("succeeded:", action())
    except OSError as error:
        print(errno.errorcode[error.errno], error.strerror)

with tempfile.TemporaryDirectory(dir=".") as directory:
    with tempfile.NamedTemporaryFile("w+", dir=directory) as named, tempfile.TemporaryFile(dir=directory) as unnamed:
        named.write("named")
        named.flush()
        unnamed.write(b"unnamed")
        unnamed.seek(0)
        print(pathlib.Path(named.name).read_text(), unnamed.read(), len(os.listdir(directory)))
    with tempfile.SpooledTemporaryFile(max_size=10, dir=directory) as spooled:
        spooled.write(b"longer than ten bytes")
        spooled.seek(7)
        print(spooled.read())
print(os.path.exists(directory), os.umask(0o77), os.umask(0o22))
os.chdir(root)
print(os.path.basename(os.getcwd()), os.path.relpath("/", os.getcwd()).count(".."), os.path.realpath("a/b/link")[-8:])
directory = os.open("a", os.O_RDONLY | os.O_DIRECTORY)
with open(os.open("file02", os.O_RDONLY, dir_fd=directory)) as file:
    print(file.read(), len(os.listdir(directory)))
os.unlink("file02", dir_fd=directory)
print(os.path.exists("a/file02"))
