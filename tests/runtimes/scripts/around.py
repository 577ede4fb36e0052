"""What a program sees around itself."""

import faulthandler
import gc
import grp
import locale
import os
import platform
import pwd
import resource
import shutil
import site
import sys
import sysconfig

print(sys.argv[1:], sys.executable, os.environ.get("LC_ALL"), "HOME" in os.environ, sys.flags.safe_path)
print(platform.system(), platform.machine(), platform.python_version(), os.uname().sysname, sys.platform)
print(pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name, os.getgroups() == sorted(os.getgroups()))
print(os.getuid() == os.geteuid(), os.getpid() > 0, os.getppid() >= 0, os.getpgid(0) > 0)
print(locale.getpreferredencoding(), sys.getfilesystemencoding(), sys.stdin.isatty(), sys.stdout.encoding)
print(os.cpu_count() >= 1, len(os.sched_getaffinity(0)) >= 1, os.getloadavg()[0] >= 0, os.get_terminal_size is not None)
print(resource.getrlimit(resource.RLIMIT_STACK)[0] > 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 1000)
print(shutil.which("sh", path="/usr/bin"), os.readlink("/proc/self/exe") == os.path.realpath(sys.executable))
with open("/proc/self/maps") as maps:
    names = {line.split()[5] for line in maps if len(line.split()) > 5}
    print(
        "[stack]" in names,
        os.path.realpath(sys.executable) in names,
        names
        == {os.path.realpath(name) for name in names if name[0] == "/"} | {name for name in names if name[0] == "["},
    )
with open("/proc/self/status") as status:
    print([line.split()[0] for line in status][:1])
with open("/proc/self/cmdline", "rb") as line:
    print(line.read().split(b"\0")[1:])
with open("/proc/meminfo") as memory:
    print(memory.readline().split(":")[0])
with open("/dev/null", "r+b") as null, open("/dev/zero", "rb") as zero, open("/dev/urandom", "rb") as random:
    print(null.write(b"gone"), null.read(), zero.read(3), len(random.read(3)))
print(
    sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:3],
    sysconfig.get_platform(),
    site.ENABLE_USER_SITE is not None,
)
print(os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_NPROCESSORS_ONLN") >= 1, os.confstr("CS_PATH"))
sys.setrecursionlimit(20000)


def deep(depth: int) -> int:
    return 0 if depth == 0 else 1 + deep(depth - 1)


print(deep(15000), len([bytearray(1 << 20) for _ in range(100)]), gc.collect() >= 0)
faulthandler.enable()
print(sum(len(str(2**n)) for n in range(3000)), hash("x") is not None, sys.hash_info.width)
print("to standard error", file=sys.stderr)
sys.exit(3)
