"""Numbers on a command line, in their bounds: what argparse converts with, so that a wrong one is told at once."""

import argparse
import math
from collections.abc import Callable


def whole(low: int, high: float = math.inf) -> Callable[[str], int]:
    """A converter to an integer of ``low`` to ``high``."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text}: must be a whole number") from None
        _require(low <= value <= high, text, low, high)
        return value

    return convert


def number(low: float, high: float = math.inf) -> Callable[[str], float]:
    """A converter to a finite number of ``low`` to ``high``."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text}: must be a number") from None
        _require(math.isfinite(value) and low <= value <= high, text, low, high)
        return value

    return convert


def _require(holds: bool, text: str, low: float, high: float) -> None:
    if not holds:
        raise argparse.ArgumentTypeError(f"{text}: must be {low:g} {'or more' if high == math.inf else f'to {high:g}'}")
