"""The emulated machine's parts that need no QEMU; ``make test-kvm`` runs a whole one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Tool = Callable[[str, str], str]


@pytest.fixture(autouse=True)
def scripts(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the scripts importable."""
    directory = repository / "scripts"
    monkeypatch.syspath_prepend(str(directory))
    return directory


def start(scripts: Path, *arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(scripts / "svm_machine.py"), *arguments]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)


def test_without_qemu(scripts: Path, tmp_path: Path) -> None:
    done = start(scripts, "true", path=str(tmp_path))
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == (
        "error: qemu-system-x86_64 is not there\nhint: as root, run: apt-get install qemu-system-x86\n"
    )


def test_without_a_kernel(scripts: Path, tmp_path: Path) -> None:
    for name in ("qemu-system-x86_64", "busybox"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    done = start(scripts, f"--cache={tmp_path}/cache", "true", path=str(tmp_path))
    assert done.returncode == 125
    assert done.stderr.startswith("error: downloading a kernel failed: apt-get and dpkg-deb are not there\nhint: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--megabytes=64", "true"], "--megabytes 64: the kernel needs 512"),
        (["--env=NAME", "true"], "--env NAME: is not NAME=VALUE"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_wrong_usage(scripts: Path, arguments: list[str], said: str) -> None:
    done = start(scripts, *arguments)
    assert done.returncode == 2
    assert done.stderr.endswith(f"error: {said}\n")


def test_the_first_file_system_is_an_archive(tmp_path: Path, tool: Tool) -> None:
    from initramfs import initramfs

    module = tmp_path / "00-one.ko"
    module.write_bytes(b"module")
    busybox = Path(tool("busybox", "busybox-static"))
    environment = {"QUOTED": "it's"}
    content = initramfs(busybox, [module], ["echo", "two words"], Path("/a place"), environment)
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    subprocess.run([busybox, "cpio", "-i", "-d"], cwd=unpacked, input=content, capture_output=True, check=True)
    assert (unpacked / "command").read_text() == "cd '/a place' && exec env -i 'QUOTED=it'\"'\"'s' echo 'two words'\n"
    assert (unpacked / "modules" / module.name).read_bytes() == b"module"
    assert (unpacked / "bin" / "busybox").read_bytes() == busybox.read_bytes()
    assert os.access(unpacked / "init", os.X_OK)
    subprocess.run([busybox, "sh", "-n", unpacked / "init"], check=True)


def modules_in(unpacked: Path, **dependencies: str) -> None:
    (unpacked / "boot").mkdir(parents=True)
    (unpacked / "boot" / "vmlinuz-1").write_bytes(bytes(4096))
    for name, needed in dependencies.items():
        (unpacked / f"{name}.ko").write_bytes(b"\0license=GPL\0depends=" + needed.encode() + b"\0")


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    import debian_kernel

    unpacked, kept = tmp_path / "unpacked", tmp_path / "kept"
    needs = dict.fromkeys(debian_kernel.MODULES, "ring") | {"9p": "net-part,netfs", "ring": "", "net_part": "ring"}
    modules_in(unpacked, **needs)
    (unpacked / "modules.builtin").write_text("kernel/fs/netfs/netfs.ko\n")
    kept.mkdir()
    debian_kernel._keep(unpacked, kept)
    order = [path.stem.partition("-")[2] for path in sorted(kept.glob("*.ko"))]
    assert set(order) == set(needs)
    assert order.index("ring") < order.index("net_part") < order.index("9p")
    assert (kept / "kernel").read_bytes() == bytes(4096)


def test_a_module_that_is_missing(tmp_path: Path) -> None:
    import debian_kernel

    modules_in(tmp_path / "unpacked")
    (tmp_path / "kept").mkdir()
    with pytest.raises(debian_kernel.KernelError, match="it has no module virtio_pci"):
        debian_kernel._keep(tmp_path / "unpacked", tmp_path / "kept")
