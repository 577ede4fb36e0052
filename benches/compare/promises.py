"""The promises of SPECIFICATION.md about speed and size; those of time are ratios within one run."""

from __future__ import annotations

from benches.compare import in_python, slices
from benches.compare.contests import HELLO, PAGE
from benches.compare.results import Check, Loads, Measured, Results, in_rounds

BOUND = "warmfork process"
"""The contestant that promises are made for: what kvm costs is the host's affair."""
OF_FORKING = 5.0
OF_NATIVE = 0.45
PAGE_OF_NATIVE = 1.12
SYSTEM_CALL_RATIO = 1.5
RESET_MICROSECONDS = 120.0
FORK_KIBIBYTES = 300.0
SLEEP_MILLISECONDS = 3.0
ALARMS_A_SECOND = 400.0
ALARMS_OF_NATIVE = 0.8
BLOCKED_OF_NONE = 1.5
PYTHON_OF_ENGINE = 2.0
CROWD_KIBIBYTES = 150.0


def at_most(promise: str, bound: float, measured: float | None) -> Check:
    """A promise of an upper bound."""
    return Check(promise, f"<= {bound:g}", measured, None if measured is None else measured <= bound)


def at_least(promise: str, bound: float, measured: float | None) -> Check:
    """A promise of a lower bound."""
    return Check(promise, f">= {bound:g}", measured, None if measured is None else measured >= bound)


def exactly(promise: str, count: int, measured: float | None) -> Check:
    """A promise of a count, which may be a mean: a rare one more does not show in two digits."""
    return Check(promise, f"{count}", measured, None if measured is None else round(measured, 2) == count)


def all_checks(results: Results, platforms: list[str]) -> list[Check]:
    """Each promise, whether it was measured or not."""
    checks = hello(results.loads.get(HELLO, {}).get("Python", {}))
    for name in ("Node", "Deno"):
        checks.append(page(name, results.loads.get(PAGE, {}).get(name, {})))
    checks.append(errors([loads for kind in results.loads.values() for loads in kind.values()]))
    checks += costs(results.costs)
    checks += kvm_counts("here", results.costs)
    checks += kvm_counts("emulated machine", results.costs_in_machine)
    for platform in platforms:
        checks += time_slices(platform, results.costs)
        checks += from_python(platform, results.costs)
    return checks


def hello(loads: Loads) -> list[Check]:
    """Of the wsgiref app."""

    def of(name: str) -> float | None:
        return in_rounds(loads, BOUND, name, lambda load: load.per_second)

    return [
        at_least("throughput, times fork per connection", OF_FORKING, of("fork per connection")),
        at_least("throughput, of native without isolation", OF_NATIVE, of("native")),
    ]


def page(name: str, loads: Loads) -> Check:
    """Of a page."""
    times = in_rounds(loads, BOUND, "native", lambda load: load.p50)
    return at_most(f"p50 of a page on {name}, times native without isolation", PAGE_OF_NATIVE, times)


def errors(contests: list[Loads]) -> Check:
    """Of all that was served in warmfork."""
    served = [load for loads in contests for name, rounds in loads.items() if "warmfork" in name for load in rounds]
    count = sum(load.errors for load in served) if served else None
    return exactly("failed requests in warmfork", 0, count)


def value(measured: Measured, name: str) -> float | None:
    """The measurement of that name, if there is one."""
    found = measured.get(name)
    return found.value if found else None


def ratio(measured: Measured, name: str, to: str) -> float | None:
    """The ratio of one to another, if both were measured."""
    above, below = value(measured, name), value(measured, to)
    return above / below if above is not None and below else None


def costs(measured: Measured) -> list[Check]:
    """Of single system calls, resets and forks."""
    call, reset = value(measured, "interception/ratio"), value(measured, "process/reset, 200 dirty pages")
    memory = value(measured, "kvm/memory of a fork of a Python server")
    return [
        at_most("a trivial system call, times the bare interception", SYSTEM_CALL_RATIO, call),
        at_most("reset with 200 dirty pages, us", RESET_MICROSECONDS, reset),
        at_most("memory of a fork on kvm, KiB", FORK_KIBIBYTES, memory),
    ]


def kvm_counts(place: str, measured: Measured) -> list[Check]:
    """Of kvm wherever it runs; ``place`` says where that was."""
    entries, calls, faults = (
        value(measured, f"kvm/{name}")
        for name in ("entries for a system call", "host calls in a steady request", "page faults in a steady request")
    )
    return [
        exactly(f"exits for a system call on kvm, {place}", 1, entries),
        exactly(f"host calls in a steady request on kvm, {place}", 0, calls),
        exactly(f"page faults in a steady request on kvm, {place}", 0, faults),
    ]


def time_slices(platform: str, measured: Measured) -> list[Check]:
    """Of how threads share a CPU."""
    native = value(measured, f"native/{slices.ALARMS}")
    alarms = ALARMS_A_SECOND if native is None else min(ALARMS_A_SECOND, round(ALARMS_OF_NATIVE * native, 1))
    blocked = value(measured, f"{platform}/{slices.TOKEN_BLOCKED}, {slices.OF_NONE}")
    return [
        at_most(f"{slices.SLEEP} on {platform}, ms", SLEEP_MILLISECONDS, value(measured, f"{platform}/{slices.SLEEP}")),
        at_least(f"{slices.ALARMS} on {platform}", alarms, value(measured, f"{platform}/{slices.ALARMS}")),
        at_most(f"a switch on {platform} with {slices.BLOCKED:,} blocked threads, of none", BLOCKED_OF_NONE, blocked),
    ]


def from_python(platform: str, measured: Measured) -> list[Check]:
    """Of forks from Python."""
    own, engines = f"{platform}/{in_python.FORK}", f"{platform}/fork and end of a Python server"
    memory = value(measured, f"{platform}/{in_python.CROWD_MEMORY}")
    return [
        at_most(
            f"a fork from Python on {platform}, times the engine's", PYTHON_OF_ENGINE, ratio(measured, own, engines)
        ),
        at_most(f"memory of each of {in_python.CROWD:,} forks on {platform}, KiB", CROWD_KIBIBYTES, memory),
    ]
