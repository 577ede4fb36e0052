"""Features that guests do not have: a guest that tries one gets an error as Linux gives it, and goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from server_kinds import DEBIAN_PYTHON
from serving import TIMEOUT, WARMFORK, environment

PRELUDE = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    if libc.syscall(ctypes.c_long(number), *map(ctypes.c_void_p, arguments)) < 0:
        raise OSError(ctypes.get_errno(), "")

def tries(attempt):
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "nothing"

# A file that is as loadable as its header says: of a 32-bit program.
def runs_32_bit():
    with open("small", "wb", opener=lambda path, flags: os.open(path, flags, 0o755)) as file:
        file.write(b"\\x7fELF\\x01\\x01\\x01" + bytes(9) + b"\\x02\\x00\\x03\\x00" + bytes(100))
    os.execv("./small", ["small"])
"""

# What docs/compatibility.md calls it, the error, and an attempt.
CASES = {
    "tracing": ("Tracing: strace, gdb", "EPERM", "call(101, 0, 0, 0, 0)"),
    "io_uring": ("io_uring: runtimes that know it use epoll instead", "ENOSYS", "call(425, 8, 0)"),
    "aio": ("Linux's own asynchronous I/O, `io_setup`", "ENOSYS", "call(206, 8, 0)"),
    "namespaces": ("Namespaces, and what is built of them: containers", "EPERM", "call(272, 0x10000000)"),
    "mounting": ("Mounting", "EPERM", "call(165, 0, 0, 0, 0, 0)"),
    "chroot": ("Changing the root directory", "EPERM", "os.chroot('/')"),
    "users": ("Other users: what starts as root and leaves it, as nginx's workers do", "EPERM", "os.setgid(65533)"),
    "system-v": ("System V shared memory, semaphores and queues", "ENOSYS", "call(29, 0, 4096, 0o600)"),
    "queues": ("POSIX message queues", "ENOSYS", "call(240, 0, 0, 0, 0)"),
    "bpf": ("eBPF", "ENOSYS", "call(321, 0, 0, 0)"),
    "events": ("Performance events: perf", "ENOSYS", "call(298, 0, 0, 0, 0, 0)"),
    "seccomp": ("Filters of the guest's own: seccomp, Landlock", "ENOSYS", "call(317, 0, 0, 0)"),
    "faults": ("userfaultfd", "ENOSYS", "call(323, 0)"),
    "keyrings": ("Keyrings", "ENOSYS", "call(250, 0, 0, 0)"),
    "attributes": ("Extended attributes", "ENOTSUP", "os.setxattr('.', 'user.name', b'value')"),
    "netlink": ("Netlink sockets", "EAFNOSUPPORT", "socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 0)"),
    "packets": ("Raw and packet sockets: ping", "EPERM", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"),
    "devices": ("Device nodes", "EPERM", "os.mknod('device', 0o20600, os.makedev(1, 3))"),
    "small": ("32-bit programs", "ENOEXEC", "runs_32_bit()"),
}


@pytest.fixture(scope="module")
def errors(tool: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a guest got that tried one after the other."""
    directory = tmp_path_factory.mktemp("refused")
    attempts = [f"print({name!r}, tries(lambda: {attempt}))" for name, (_, _, attempt) in CASES.items()]
    permissions = ("--allow-read", f"--allow-write={directory}", "--allow-net")
    done = subprocess.run(
        [WARMFORK, "run", *permissions, "--", tool(DEBIAN_PYTHON, "python3"), "-c", "\n".join([PRELUDE, *attempts])],
        cwd=directory,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param(name, error, marks=pytest.mark.shows(error, of=f"refused: {name}"), id=name)
        for name, (_, error, _) in CASES.items()
    ],
)
def test_an_attempt(errors: dict[str, str], name: str, error: str) -> None:
    assert errors[name] == error
