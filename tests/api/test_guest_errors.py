"""Errors of a guest have the end of what it wrote."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from timeouts import scaled

from warmfork import BootTimeout, GuestError, Machine

Guest = Callable[[str], str]

WRITTEN = "".join(f"line {line}\n" for line in range(1000)).encode()
COLOURED = b"\033[31mred\t\377\n"


def ends_as_talked(error: GuestError) -> None:
    assert error.stdout == WRITTEN[-4096:]
    assert error.stderr == COLOURED
    shown = str(error).splitlines()
    assert shown[1:] == [
        "standard output ends in:",
        *(f"  line {line}" for line in range(990, 1000)),
        "standard error ends in:",
        "  \\x1b[31mred        \\xff",
    ]


def test_a_program_that_exits_says_why(guest: Guest) -> None:
    with Machine([guest("program"), "talk"]) as machine:
        with pytest.raises(GuestError, match="exited with status 1 before it was ready") as caught:
            machine.boot(scaled(10.0))
        assert machine.output() == (WRITTEN, COLOURED)
    ends_as_talked(caught.value)


def test_a_program_that_is_not_ready_in_time_says_why(guest: Guest) -> None:
    with Machine([guest("program"), "talk", "on"]) as machine:
        written = b""
        while written != WRITTEN:
            machine.run(timeout=0.05)
            written += machine.output()[0]
        with pytest.raises(BootTimeout, match="not ready within") as caught:
            machine.boot(0.05)
    ends_as_talked(caught.value)


def test_a_server_that_exits_in_the_warm_up_says_why(booted: tuple[Machine, int]) -> None:
    machine, _ = booted
    machine.warm_up(2, "/say")
    with pytest.raises(GuestError, match="stopped during the warm-up") as caught:
        machine.warm_up(1, "/exit")
    assert (caught.value.stdout, caught.value.stderr) == (b"said\nsaid\n", b"")


def test_a_server_that_exits_before_the_freeze_says_why(booted: tuple[Machine, int]) -> None:
    machine, _ = booted
    machine.warm_up(1, "/say")
    with pytest.raises(GuestError, match="stopped during the warm-up") as caught:
        machine.freeze(2, "/exit")
    assert caught.value.stdout == b"said\n"


def test_streams_of_the_callers_are_his(guest: Guest) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as written, os.fdopen(writer, "wb") as output:
        with (
            Machine([guest("program"), "errors"], stdio=(output.fileno(),) * 3) as machine,
            pytest.raises(GuestError) as caught,
        ):
            machine.boot(scaled(10.0))
        output.close()
        assert written.read() == b"to standard error\n"
    assert (caught.value.stdout, caught.value.stderr) == (b"", b"")
    assert str(caught.value) == "the program exited with status 0 before it was ready"
