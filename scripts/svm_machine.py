#!/usr/bin/env python3
"""Runs a command as root in a virtual machine that has ordinary hardware KVM, on any machine with QEMU.

QEMU's emulated CPU has AMD's virtualization (SVM), so a Debian kernel on it has the /dev/kvm of real hardware,
wherever this runs: without KVM, inside another virtual machine, in a container. The machine sees this system's files
at the same paths; what it writes stays in its memory and is gone when it ends. It has no network but its loopback.
Its CPU is emulated, 10 to 30 times slower than this one.

    scripts/svm_machine.py --seconds 60 -- python3 -c 'print(open("/dev/kvm"))'

Output and exit status are the command's. Called by scripts/run_tests.py, and by hand.
"""

from __future__ import annotations

import argparse
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import initramfs
from debian_kernel import Kernel, KernelError, kernel

QEMU = "qemu-system-x86_64"
CACHE = Path(__file__).resolve().parent.parent / ".make" / "svm"
KERNEL_OPTIONS = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr no5lvl random.trust_cpu=on"
LEAST_MEGABYTES = 512
FAILED = 125
"""The exit status when the machine failed, not the command; 124 when it was out of time, as with timeout(1)."""


class MachineError(Exception):
    """The machine did not run the command to its end; ``hint`` has the next step, ``status`` the exit status."""

    status = FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class MissingError(MachineError):
    """Something that the machine is made of is not there."""


class TimeLimitError(MachineError):
    """The command did not end in time."""

    status = 124


class DiedError(MachineError):
    """The machine ended, or never started, without a word about the command."""


@dataclass(frozen=True)
class Machine:
    """The configuration of a machine."""

    seconds: float = 300.0
    """How long it may run, start included."""
    megabytes: int = 4096
    """Its memory, of which this system gives what is used. Three fifths may be written files."""
    cpus: int = 1
    cache: Path = CACHE
    """Where the unpacked kernel is kept."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The command's variables, besides PATH, HOME, LANG and TMPDIR."""

    def prepare(self) -> tuple[Path, Path, Kernel]:
        """QEMU, busybox and a kernel, which is downloaded when there is none yet.

        Raises:
            MissingError: One of them cannot be had.
        """
        qemu, busybox = _find(QEMU, "qemu-system-x86"), _find("busybox", "busybox-static")
        try:
            return qemu, busybox, kernel(self.cache)
        except KernelError as error:
            raise MissingError(str(error), error.hint) from error

    def run(self, command: Sequence[str], directory: Path) -> int:
        """Runs ``command`` in ``directory``, with its output on this process's streams; returns its exit status.

        Raises:
            MissingError: It cannot be made here.
            TimeLimitError: It was not done in time.
            DiedError: The machine failed.
        """
        qemu, busybox, unpacked = self.prepare()
        variables = {
            "PATH": os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            "HOME": os.environ.get("HOME", "/root"),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "TMPDIR": "/run/tmp",
        } | dict(self.environment)
        ramdisk = initramfs.initramfs(busybox, unpacked.modules, command, directory, variables)
        with tempfile.TemporaryDirectory(prefix="svm-machine-") as scratch:
            (Path(scratch) / "initramfs").write_bytes(ramdisk)
            return self._boot(qemu, unpacked, Path(scratch))

    def _boot(self, qemu: Path, unpacked: Kernel, scratch: Path) -> int:
        deadline = time.monotonic() + self.seconds
        ports = [os.pipe() for _ in range(3)]
        writers = [writer for _, writer in ports]
        process = subprocess.Popen(
            self._arguments(qemu, unpacked, scratch, writers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=writers,
        )
        report, said = bytearray(), bytearray()
        try:
            for writer in writers:
                os.close(writer)
            assert process.stdout is not None
            _forward(
                {
                    ports[0][0]: sys.stdout.buffer,
                    ports[1][0]: sys.stderr.buffer,
                    ports[2][0]: report,
                    process.stdout.fileno(): said,
                },
                deadline,
            )
            process.wait(max(0.1, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            message = f"the machine was stopped: not done within {self.seconds:g} s"
            raise TimeLimitError(message, "--seconds gives it more") from None
        finally:
            process.kill()
            process.wait()
            for reader, _ in ports:
                os.close(reader)
            console = _console(scratch / "console")
        return _outcome(report.decode().strip(), said.decode(errors="replace"), console)

    def _arguments(self, qemu: Path, unpacked: Kernel, scratch: Path, writers: Sequence[int]) -> list[str | Path]:
        arguments: list[str | Path] = [qemu, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
        # Without SMAP: QEMU has far returns of programs read the stack as a kernel would.
        arguments += ["-accel", "tcg,tb-size=512", "-cpu", "max,+svm,+invtsc,-smap", "-machine", "q35"]
        arguments += ["-smp", str(self.cpus), "-m", str(self.megabytes)]
        arguments += ["-kernel", unpacked.image, "-initrd", scratch / "initramfs", "-append", KERNEL_OPTIONS]
        arguments += ["-serial", f"file:{scratch}/console", "-device", "virtio-serial-pci"]
        for number, writer in enumerate(writers, 1):
            arguments += ["-chardev", f"file,id=port{number},path=/proc/self/fd/{writer}"]
            arguments += ["-device", f"virtserialport,chardev=port{number},nr={number}"]
        shared = f"local,path=/,mount_tag={initramfs.TAG},security_model=none,readonly=on,multidevs=remap"
        return [*arguments, "-virtfs", shared]


def _find(command: str, package: str) -> Path:
    found = shutil.which(command)
    if found is None:
        raise MissingError(f"{command} is not there", f"as root, run: apt-get install {package}")
    return Path(found)


def _forward(streams: Mapping[int, BinaryIO | bytearray], deadline: float) -> None:
    """Copies each descriptor to its stream until all have ended."""
    with selectors.DefaultSelector() as selector:
        for descriptor, stream in streams.items():
            selector.register(descriptor, selectors.EVENT_READ, stream)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for key, _ in selector.select(left):
                content = os.read(key.fd, 1 << 16)
                if not content:
                    selector.unregister(key.fd)
                elif isinstance(key.data, bytearray):
                    key.data.extend(content)
                else:
                    key.data.write(content)
                    key.data.flush()


def _console(file: Path) -> str:
    """The kernel's messages; its warnings while the command ran also go to standard error."""
    said = file.read_text(errors="replace").replace("\r", "") if file.exists() else ""
    _, _, complaints = said.partition(initramfs.STARTED)
    for line in complaints.splitlines():
        if line.strip() and "reboot: Power down" not in line:
            print(f"kernel: {line}", file=sys.stderr)
    return said


def _outcome(report: str, said: str, console: str) -> int:
    """The exit status that the machine reported."""
    kind, _, rest = report.partition(" ")
    if kind == "exit" and rest.isdigit():
        return int(rest)
    if kind == "failed:":
        raise DiedError(f"the machine did not start: {rest}", "report this, with the kernel's version")
    if initramfs.STARTED in console:
        raise DiedError("the machine died while the command ran", "does it need more memory? --megabytes")
    last = "\n".join([*said.strip().splitlines(), *console.strip().splitlines()][-20:])
    raise DiedError(f"the machine did not start; it said last:\n{last}", "report this, with QEMU's version")


def main() -> int:
    """Reads the command line; returns the exit status."""
    described, _, example = (__doc__ or "").partition("\n\n    ")
    parser = argparse.ArgumentParser(
        description=described,
        epilog=f"For example: {example.splitlines()[0]}\n\nOutput and exit status are the command's; {FAILED} is a "
        "failure of the machine, 124 the end of its time.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="time limit, start included (%(default)g)")
    parser.add_argument("--megabytes", type=int, default=4096, help="memory of the machine (%(default)s)")
    parser.add_argument("--cpus", type=int, default=1, help="CPUs of the machine (%(default)s)")
    parser.add_argument("--directory", type=Path, default=Path.cwd(), help="where the command runs (here)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the kernel is kept (%(default)s)")
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="a variable for the command; repeatable"
    )
    parser.add_argument("--prepare", action="store_true", help="only see to it that all is there; download the kernel")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="the program and its arguments")
    arguments = parser.parse_args()
    if not arguments.command and not arguments.prepare:
        parser.error("the following arguments are required: COMMAND")
    if arguments.megabytes < LEAST_MEGABYTES:
        parser.error(f"--megabytes {arguments.megabytes}: the kernel needs {LEAST_MEGABYTES}")
    if wrong := [assignment for assignment in arguments.env if "=" not in assignment[1:]]:
        parser.error(f"--env {wrong[0]}: is not NAME=VALUE")
    machine = Machine(
        seconds=arguments.seconds,
        megabytes=arguments.megabytes,
        cpus=arguments.cpus,
        cache=arguments.cache,
        environment=dict(assignment.split("=", 1) for assignment in arguments.env),
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends QEMU on the way out
    try:
        if arguments.prepare:
            machine.prepare()
            return 0
        return machine.run(arguments.command, arguments.directory.resolve())
    except MachineError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
