"""Numbers in their bounds, times and files on a command line: argparse converts with these, so that a wrong one is told
at once."""

import argparse
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np

from onboard.errors import UsageError
from onboard.utc import utc_time

_Kind = TypeVar("_Kind", int, float)


def whole(low: int, high: float = math.inf) -> Callable[[str], int]:
    """A converter to an integer of ``low`` to ``high``."""

    return _bounded(int, "a whole number", low, high)


def number(low: float, high: float = math.inf) -> Callable[[str], float]:
    """A converter to a finite number of ``low`` to ``high``."""

    return _bounded(float, "a number", low, high)


def utc(text: str) -> np.datetime64:
    """A UTC time, to the microsecond."""
    try:
        return utc_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def named_file(text: str) -> Path:
    """A file or folder by its name. A script's variable that is not set names none, which is not to leave it out."""
    if not text:
        raise argparse.ArgumentTypeError("is empty (a variable that is not set?): name a file, or leave the option out")
    return Path(text)


def output_file(text: str) -> Path:
    """A file that can be written: its folder is made before the work, not found missing after it."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: is a directory, name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: its folder cannot be made ({error.strerror})") from error
    return path


def keep_inputs(out: Path, inputs: Iterable[str | Path]) -> None:
    """Raises UsageError where what is to be written would overwrite what it is made from."""
    for path in map(Path, inputs):
        if out.exists() and path.exists() and out.samefile(path):
            raise UsageError(f"{out}: would overwrite {path}, which it is made from; name another file to write")


def _bounded(kind: type[_Kind], what: str, low: float, high: float) -> Callable[[str], _Kind]:
    def convert(text: str) -> _Kind:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text}: must be {what}") from None
        if not low <= value <= high or value == math.inf:
            bounds = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
            raise argparse.ArgumentTypeError(f"{text}: must be {bounds}")
        return value

    return convert
