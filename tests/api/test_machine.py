"""Machines: running programs to their end, and the errors on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from warmfork import Limits, Machine, Outcome, Policy, ProgramError, StateError

Guest = Callable[[str], str]


@pytest.fixture
def run(guest: Guest) -> Callable[..., tuple[Outcome, str, str]]:
    """Runs the guest program; returns how it ended and what it wrote."""

    def run_program(*arguments: str, **options: Any) -> tuple[Outcome, str, str]:
        with Machine([guest("program"), *arguments], **options) as machine:
            outcome = machine.run(timeout=60.0)
            output, errors = machine.output()
            return outcome, output.decode(), errors.decode()

    return run_program


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_exit_codes(run: Any, code: int) -> None:
    assert run("exit", str(code))[0] == Outcome("exited", code)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT])
def test_signals(run: Any, number: int) -> None:
    outcome = run("kill", str(number))[0]
    assert outcome == Outcome("signaled", number)
    assert outcome.exit_status == 128 + number


def test_arguments_arrive_as_they_are(guest: Guest) -> None:
    arguments = ["arguments", "", "a b", "-x", "--", "\u00e9", "\udcff"]
    with Machine([guest("program"), *arguments]) as machine:
        machine.run(10.0)
        assert machine.output()[0].splitlines() == [text.encode(errors="surrogateescape") for text in arguments]


def test_the_environment_is_what_is_given(run: Any) -> None:
    assert run("environment", env={"A": "1", "B": "x=y"})[1] == "A=1\nB=x=y\n"


def test_the_environment_is_what_the_policy_allows(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMFORK_TEST_A", "1")
    assert run("environment")[1] == ""
    assert run("environment", policy=Policy(allow_env="WARMFORK_TEST_*"))[1] == "WARMFORK_TEST_A=1\n"


def test_the_working_directory(run: Any, tmp_path: Path) -> None:
    assert run("cwd", cwd=tmp_path)[1] == f"{tmp_path}\n"


def test_errors_are_captured_apart(run: Any) -> None:
    assert run("errors")[1:] == ("", "to standard error\n")


def test_captured_programs_have_no_input(run: Any) -> None:
    assert run("copy")[1] == ""


def test_much_output_is_captured(run: Any) -> None:
    assert len(run("write", str(8 << 20))[1]) == 8 << 20


def test_output_comes_once(guest: Guest) -> None:
    with Machine([guest("program"), "errors"]) as machine:
        machine.run(10.0)
        assert machine.output() == (b"", b"to standard error\n")
        assert machine.output() == (b"", b"")


def test_memory_is_limited(run: Any) -> None:
    assert run("allocate", str(512 << 20), limits=Limits(memory="1G"))[1] == "allocated\n"
    assert run("allocate", str(512 << 20), limits=Limits(memory="256M"))[1] == "refused\n"


def test_what_is_mapped_without_a_reservation_counts_when_it_is_written(run: Any) -> None:
    mapped = str(3 << 30)
    assert run("overcommit", mapped, str(64 << 20), limits=Limits(memory="256M"))[1] == "written\n"
    assert run("overcommit", mapped, mapped, limits=Limits(memory="256M"))[0] == Outcome("out_of_memory", 0)
    assert run("overcommit", str(8 << 40), str(64 << 20), limits=Limits(memory="256M"))[1] == "written\n"
    assert run("overcommit", str(8 << 40), "0", limits=Limits(memory="256M", address_space="4T"))[1] == "refused\n"


def test_streams_of_this_process(guest: Guest, tmp_path: Path) -> None:
    with (tmp_path / "in").open("w+b") as standard_input, (tmp_path / "out").open("w+b") as output:
        standard_input.write(b"some text\n")
        standard_input.seek(0)
        streams = (standard_input.fileno(), output.fileno(), output.fileno())
        with Machine([guest("program"), "copy"], stdio=streams) as machine:
            assert machine.run(10.0) == Outcome("exited", 0)
            assert machine.output() == (b"", b"")
        assert (tmp_path / "out").read_bytes() == b"some text\n"


def test_streams_that_are_not_open(guest: Guest) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        Machine([guest("program")], stdio=(-1, 1, 2))


@pytest.mark.parametrize("what", ["spin", "sleep"])
def test_a_timeout_leaves_a_machine_that_runs_on(guest: Guest, what: str) -> None:
    with Machine([guest("program"), what]) as machine:
        assert machine.run(timeout=0.05) == Outcome("timeout", 0)
        assert machine.run(timeout=0.0) == Outcome("timeout", 0)


@pytest.mark.parametrize("what", ["spin", "sleep"])
def test_another_thread_interrupts(guest: Guest, what: str) -> None:
    with Machine([guest("program"), what]) as machine:
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.append(machine.run()))
        thread.start()
        machine.interrupt()
        thread.join()
        assert outcomes == [Outcome("interrupted", 0)]


def test_ctrl_c_interrupts(guest: Guest) -> None:
    code = f"""
import warmfork
with warmfork.Machine([{guest("program")!r}, "spin"]) as machine:
    print("runs", flush=True)
    machine.run()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"runs\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in errors


def test_other_threads_run_meanwhile(guest: Guest) -> None:
    ran = threading.Event()
    with Machine([guest("program"), "spin"]) as machine:

        def interrupt() -> None:
            ran.set()
            machine.interrupt()

        thread = threading.Thread(target=interrupt)
        thread.start()
        machine.run()
        thread.join()
    assert ran.is_set()


def test_statistics_count_system_calls(guest: Guest) -> None:
    with Machine([guest("program")]) as machine:
        machine.run(10.0)
        assert machine.statistics()["syscalls"] > 0


def test_the_wrong_order(guest: Guest) -> None:
    machine = Machine([guest("program")])
    machine.run(10.0)
    with pytest.raises(StateError, match="running a program that has ended"):
        machine.run()
    with pytest.raises(StateError, match="freezing a program that has ended"):
        machine.freeze()
    machine.close()
    machine.close()
    for call in (machine.run, machine.freeze, machine.statistics, machine.interrupt):
        with pytest.raises(StateError, match="it is closed"):
            call()
    assert machine.output() == (b"", b"")


@pytest.mark.parametrize("timeout", [-1.0, float("nan"), float("inf")])
def test_times_that_are_none(guest: Guest, timeout: float) -> None:
    with Machine([guest("program")]) as machine, pytest.raises(ValueError, match="is not a time in seconds"):
        machine.run(timeout)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not an ELF file"),
        (b"plain text", "is not an ELF file"),
        (b"\x7fELF\x02\x01\x01" + bytes(40), ""),
        (b"#!/no/such/interpreter\n", "/no/such/interpreter"),
    ],
)
def test_files_that_cannot_be_loaded(tmp_path: Path, content: bytes, reason: str) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    program.chmod(0o755)
    with pytest.raises(ProgramError) as caught:
        Machine([str(program)])
    assert str(program) in str(caught.value)
    assert reason in str(caught.value)


def test_arguments_that_are_none(guest: Guest) -> None:
    with pytest.raises(ProgramError, match="argv must be a sequence"):
        Machine([])
    with pytest.raises(ProgramError, match="argv must be a sequence"):
        Machine("program")
    with pytest.raises(ProgramError, match="the working directory is not there"):
        Machine([guest("program")], cwd="/no/such/directory")
    with pytest.raises(ValueError, match="no platform is called xen"):
        Machine([guest("program")], platform="xen")  # type: ignore[arg-type]


def huge_bytes() -> int:
    """Private memory of this process that is in huge pages."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages:"))


@pytest.mark.parametrize("asked", [False, True])
def test_huge_pages(platform: str, guest: Guest, asked: bool) -> None:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if platform != "kvm" or "[never]" in (setting.read_text() if setting.exists() else "[never]"):
        pytest.skip("huge pages are for guests on kvm, where the host has them")
    with Machine([guest("program"), "fill", str(64 << 20)], huge_pages=asked) as machine:
        before = huge_bytes()
        assert machine.run(timeout=60.0) == Outcome("exited", 0)
        assert (huge_bytes() - before >= 32 << 10) == asked
