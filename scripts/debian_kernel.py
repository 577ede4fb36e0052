"""A Debian kernel and the modules that a machine's first steps need, unpacked from its package and never installed.

Called by svm_machine. The package is downloaded once; of what is in it, the kernel and some two dozen modules are kept
in a directory of the package's name. The kernel is kept unpacked: an emulated CPU takes four seconds to do that.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "linux-image-amd64"
MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "kvm_amd")
"""What must be loaded; what these need comes before them."""
DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


class KernelError(Exception):
    """No kernel could be had; ``hint`` has the next step."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel."""

    image: Path
    modules: list[Path]
    """In the order in which they can be inserted."""


def kernel(cache: Path) -> Kernel:
    """The kernel in ``cache``, which is downloaded first when there is none.

    Raises:
        KernelError: There is no such package, it could not be downloaded, or it lacks a module.
    """
    cache = cache.resolve()
    kept = sorted(directory for directory in cache.glob("linux-image-*") if (directory / "kernel").exists())
    if not kept:
        kept = [_fetch(cache)]
    return Kernel(kept[-1] / "kernel", sorted(kept[-1].glob("*.ko")))


def _fetch(cache: Path) -> Path:
    """Downloads the package; returns the directory with the files kept of it."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise KernelError(
            "downloading a kernel failed: apt-get and dpkg-deb are not there", "this works on Debian 12 and later"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="new-") as scratch:
        name = _package_name()
        # apt-get downloads as another user where it can, who may not write here: a warning that means nothing.
        _run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name], Path(scratch))
        archive = next(Path(scratch).glob("*.deb"))
        unpacked = Path(scratch) / "unpacked"
        _run(["dpkg-deb", "-x", str(archive), str(unpacked)], Path(scratch))
        kept = Path(scratch) / "kept"
        kept.mkdir()
        _keep(unpacked, kept)
        target = cache / name
        shutil.rmtree(target, ignore_errors=True)
        kept.replace(target)
    return target


def _package_name() -> str:
    """The package that the newest kernel's package without a version depends on."""
    command = ["apt-cache", "depends", PACKAGE]
    found = _dependency(command)
    if found is None and os.geteuid() == 0:
        _run(["apt-get", "update", "-qq"], Path.cwd())  # a machine that never did, or forgot
        found = _dependency(command)
    if found is None:
        raise KernelError(
            f"finding a kernel failed: apt-get knows no package {PACKAGE}", "as root, run: apt-get update"
        )
    return found


def _dependency(command: list[str]) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Depends: (linux-image-\S+)", done.stdout)
    return found[1] if found else None


def _run(command: list[str], directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise KernelError(
            f"downloading a kernel failed: {' '.join(command[:2])}: {said}",
            "is the network there? As root, apt-get update may help",
        )


def _keep(unpacked: Path, kept: Path) -> None:
    """Copies the kernel, and ``MODULES`` with those that they need, numbered in order."""
    images = sorted((unpacked / "boot").glob("vmlinuz-*"))
    if not images:
        raise KernelError("unpacking the kernel failed: there is none in its package", "report this")
    files = {_module_name(path): path for path in unpacked.rglob("*.ko*") if ".ko" in path.suffixes}
    builtin = {
        _module_name(Path(line))
        for listing in unpacked.rglob("modules.builtin")
        for line in listing.read_text().splitlines()
    }
    order: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in order or name in builtin:
            return
        if name not in files:
            raise KernelError(f"unpacking the kernel failed: it has no module {name}", "report this")
        content = files[name].read_bytes()
        if files[name].suffix == ".xz":
            content = _decompressed(content)
        depends = DEPENDS.search(content)
        for needed in depends[1].decode().split(",") if depends and depends[1] else ():
            add(needed.replace("-", "_"))
        order[name] = content

    for name in MODULES:
        add(name)
    for number, (name, content) in enumerate(order.items()):
        (kept / f"{number:02}-{name}.ko").write_bytes(content)
    (kept / "kernel").write_bytes(_unpacked(images[-1].read_bytes()))


def _module_name(path: Path) -> str:
    return path.name.split(".ko")[0].replace("-", "_")


def _decompressed(content: bytes) -> bytes:
    try:
        import lzma
    except ImportError:
        message = "unpacking the kernel failed: this Python was built without the module lzma"
        raise KernelError(message, "Debian's has it: make PYTHON=/usr/bin/python3") from None
    return lzma.decompress(content)


def _unpacked(image: bytes) -> bytes:
    """The ELF file in a compressed kernel, which QEMU can start too; the kernel as it is where that is not possible."""
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1F1] + 1) * 512 + offset
    payload = image[start : start + length - 4]  # behind it is its unpacked size
    if not payload.startswith(b"\xfd7zXZ"):
        return image
    try:
        return _decompressed(payload)
    except KernelError:
        return image
