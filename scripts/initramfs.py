"""The file system that a machine starts with: busybox, the kernel's modules, and a script that makes the real root.

Called by svm_machine. A plain cpio archive in the kernel's ``newc`` format, made in memory. The script mounts the
host's files under a layer in memory, runs the command there, and tells on a port of its own how that went.
"""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TAG = "host"
"""The name of the host's files among the machine's devices."""
OUTPUT, ERRORS, REPORT = 1, 2, 3
"""The numbers of the machine's ports."""

INIT = """\
#!/bin/busybox sh
b=/bin/busybox
report() {{ echo "$*" >/dev/vport0p{report}; $b sync; $b poweroff -f; }}
must() {{ "$@" || report "failed: $*"; }}
$b mount -t proc proc /proc && $b mount -t sysfs sys /sys && $b mount -t devtmpfs dev /dev || $b poweroff -f
for module in /modules/*; do $b insmod $module || echo "<1>insmod $module failed" >/dev/kmsg; done
must $b mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=1048576,cache=loose {tag} /host
must $b mount -t tmpfs -o size=60% layer /layer
$b mkdir /layer/upper /layer/work
must $b mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /root
for directory in proc sys dev; do must $b mount --bind /$directory /root/$directory; done
$b mkdir -p /dev/shm /dev/pts
must $b mount -t tmpfs shm /root/dev/shm
must $b mount -t devpts pts /root/dev/pts
must $b mount -t tmpfs run /root/run
$b mkdir -m 1777 /root/run/tmp
for name in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do $b ln -s /proc/self/${{name#*:}} /dev/${{name%:*}}; done
must $b ip link set lo up
[ -c /dev/kvm ] || report "failed: there is no /dev/kvm"
$b cp /command /root/run/command
echo "<1>{started}" >/dev/kmsg
$b dmesg -n 5
$b setsid $b chroot /root /bin/sh /run/command </dev/null >/dev/vport0p{output} 2>/dev/vport0p{errors}
report "exit $?"
"""
STARTED = "machine: the command starts"
"""What the kernel's log says before the command, so that what comes later can be told from what came earlier."""


def initramfs(
    busybox: Path, modules: Sequence[Path], command: Sequence[str], directory: Path, environment: Mapping[str, str]
) -> bytes:
    """The archive for a machine that runs ``command`` in ``directory``."""
    script = INIT.format(tag=TAG, output=OUTPUT, errors=ERRORS, report=REPORT, started=STARTED)
    variables = " ".join(shlex.quote(f"{name}={value}") for name, value in environment.items())
    run = f"cd {shlex.quote(str(directory))} && exec env -i {variables} {shlex.join(command)}\n"
    files = [("init", 0o755, script.encode()), ("command", 0o644, run.encode())]
    files.append(("bin/busybox", 0o755, busybox.read_bytes()))
    files += [(f"modules/{module.name}", 0o644, module.read_bytes()) for module in modules]
    return b"".join(archive(["bin", "modules", "proc", "sys", "dev", "host", "layer", "root"], files))


def archive(directories: Sequence[str], files: Sequence[tuple[str, int, bytes]]) -> Iterator[bytes]:
    """A cpio archive in the ``newc`` format."""
    for name in directories:
        yield _entry(name, stat.S_IFDIR | 0o755, b"")
    for name, mode, content in files:
        yield _entry(name, stat.S_IFREG | mode, content)
    yield _entry("TRAILER!!!", 0, b"")


def _entry(name: str, mode: int, content: bytes) -> bytes:
    # Magic, then inode, mode, user, group, links, time, size, four device numbers, length of the name, checksum.
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return header + bytes(-len(header) % 4) + content + bytes(-len(content) % 4)
