"""Sizes, times, numbers and names as people write them: ``128M``, ``8s``. Used by the options and the configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LARGEST_SIZE = 1 << 47  # the whole address space of an x86-64 program
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|)", re.IGNORECASE)
_DURATION_UNITS = {"us": 1e-6, "ms": 1e-3, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_LARGEST_DURATION = 365 * 86400.0
_COUNT = re.compile(r"[+-]?\d{1,18}", re.ASCII)


def parse_size(value: str | int) -> int:
    """Reads a number of bytes.

    Args:
        value: Bytes as a number, or a string with an optional unit K, M, G or T (powers of 1024).

    Returns:
        Bytes.

    Raises:
        ValueError: It is not such a size, or more than an address space has.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        size = round(float(found[1]) * _SIZE_UNITS[found[2].upper()])
    else:
        raise ValueError(f"{value!r} is not a size: write bytes or a number with K, M, G or T, such as 128M")
    if not 0 <= size <= _LARGEST_SIZE:
        raise ValueError(f"{value!r} is out of range: a size is at most {format_size(_LARGEST_SIZE)}")
    return size


def parse_duration(value: str | float) -> float:
    """Reads a time span.

    Args:
        value: Seconds as a number, or a string with an optional unit us, ms, s, m or h.

    Returns:
        Seconds.

    Raises:
        ValueError: It is not such a time, or more than a year.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (found := _DURATION.fullmatch(value.strip())):
        seconds = float(found[1]) * _DURATION_UNITS[found[2].lower()]
    else:
        raise ValueError(f"{value!r} is not a time: write seconds or a number with us, ms, s, m or h, such as 8s")
    if not 0 <= seconds <= _LARGEST_DURATION:
        raise ValueError(f"{value!r} is out of range: a time is at most a year")
    return seconds


def parse_count(value: str | int, least: int, most: int) -> int:
    """Reads a whole number.

    Args:
        value: The number, or its digits.
        least: The smallest number that is possible.
        most: The largest.

    Returns:
        The number.

    Raises:
        ValueError: It is not a whole number, or out of range.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        count = value
    elif isinstance(value, str) and _COUNT.fullmatch(value.strip()):
        count = int(value)
    else:
        raise ValueError(f"{value!r} is not a whole number")
    if not least <= count <= most:
        raise ValueError(f"{value!r} is out of range: from {least} to {most}")
    return count


def parse_names(value: str | Sequence[str]) -> tuple[str, ...]:
    """Reads a list of names.

    Args:
        value: The names, or text with names between commas.

    Returns:
        The names.

    Raises:
        ValueError: It is not a list of names.
    """
    names = [name for name in value.split(",") if name] if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{value!r} is not a list of names")
    return tuple(names)


def format_size(size: int) -> str:
    """Writes bytes with the largest unit that keeps them exact; ``parse_size`` reads it back."""
    for unit in "TGMK":
        if size and size % _SIZE_UNITS[unit] == 0:
            return f"{size // _SIZE_UNITS[unit]}{unit}"
    return str(size)


def format_duration(seconds: float) -> str:
    """Writes seconds so that ``parse_duration`` reads the same back."""
    return f"{Decimal(repr(seconds)).normalize():f}s"
