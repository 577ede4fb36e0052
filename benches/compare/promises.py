"""What SPECIFICATION.md promises of serving, as ratios within one run."""

from __future__ import annotations

from benches.compare.load import Load

Loads = dict[str, Load]
Check = tuple[str, float, str, bool]
"""What is promised, what was measured, the bound, whether it holds."""

BOUND = "warmfork process"
"""The contestant that promises are made for: what kvm costs is the host's affair."""
OF_FORKING = 5.0
OF_NATIVE = 0.4
PAGE_OF_NATIVE = 1.25


def hello(loads: Loads) -> list[Check]:
    """Of the wsgiref app."""
    forking = loads[BOUND].per_second / loads["fork per connection"].per_second
    native = loads[BOUND].per_second / loads["native"].per_second
    return [
        ("throughput, times fork per connection", forking, f">= {OF_FORKING:g}", forking >= OF_FORKING),
        ("throughput, of native without isolation", native, f">= {OF_NATIVE:g}", native >= OF_NATIVE),
    ]


def page(name: str, loads: Loads) -> Check:
    """Of a page."""
    ratio = loads[BOUND].p50 / loads["native"].p50
    what = f"p50 of a page on {name}, times native without isolation"
    return what, ratio, f"<= {PAGE_OF_NATIVE:g}", ratio <= PAGE_OF_NATIVE


def errors(contests: list[Loads]) -> Check:
    """Of all that was served in warmfork."""
    count = sum(load.errors for loads in contests for name, load in loads.items() if "warmfork" in name)
    return "failed requests in warmfork", count, "0", count == 0
