"""Figures and names as all tables print them."""

from __future__ import annotations

from collections.abc import Sequence


def count(value: int) -> str:
    """A number with separators; nothing for 0."""
    return f"{value:,}" if value else ""


def shape(dimensions: Sequence[int]) -> str:
    """A shape without its batch of one."""
    inner = dimensions[1:] if len(dimensions) > 1 and dimensions[0] == 1 else dimensions
    return "x".join(map(str, inner))


def kernel_name(function: str) -> str:
    """A kernel's name without the library's prefix."""
    return function.removeprefix("tern_")


def per_mac(instructions: int, macs: int) -> str:
    """Instructions a multiply-accumulate."""
    return f"{instructions / macs:.2f}" if macs else ""
