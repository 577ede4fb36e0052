"""Sizes, times, numbers and names as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork.units import format_duration, format_size, parse_count, parse_duration, parse_names, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("4096", 4096), ("1K", 1024), ("128M", 128 << 20), ("8GiB", 8 << 30), ("1.5g", 3 << 29), (77, 77)],
)
def test_size(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "12X", "-1", "1e3", "1_000", "0x10", " ", -1, True, None, 1 << 60, "9999T"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a size|is out of range"):
        parse_size(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("8s", 8.0), ("8", 8.0), ("500ms", 0.5), ("2m", 120.0), ("1h", 3600.0), ("20us", 2e-5), (0.25, 0.25), ("0", 0)],
)
def test_duration(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "8 parsecs", "-1s", float("nan"), float("inf"), -1, True, None, "1e9"])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a time|is out of range"):
        parse_duration(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "count"), [(2, 2), ("2", 2), (" 5 ", 5), ("+3", 3)])
def test_count(value: str | int, count: int) -> None:
    assert parse_count(value, 2, 5) == count


@pytest.mark.parametrize("value", [1, 6, "1", "-3", "", "x", "2.5", 2.5, True, None, "9" * 5000, "\u0663"])
def test_what_is_no_count(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a whole number|is out of range: from 2 to 5"):
        parse_count(value, 2, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "names"), [("", ()), ("a", ("a",)), ("a,b,", ("a", "b")), (["a,b"], ("a,b",)), ((), ())]
)
def test_names(value: object, names: tuple[str, ...]) -> None:
    assert parse_names(value) == names  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [1, None, b"a", [1], {"a"}])
def test_what_is_no_list_of_names(value: object) -> None:
    with pytest.raises(ValueError, match="is not a list of names"):
        parse_names(value)  # type: ignore[arg-type]


@given(st.integers(0, 1 << 47))
def test_a_written_size_reads_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(0, 10**9).map(lambda microseconds: microseconds / 1e6))
def test_a_written_duration_reads_back(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds
