"""Image files read into frames."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.errors import ImageError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
_BESIDE = (".csv", ".yaml", ".yml", ".txt", ".json", ".jsonl", ".md")  # what else belongs into a folder of pictures


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """An RGB uint8 frame (H, W, 3); ``-`` reads standard input. Raises ImageError."""
    if str(path) == "-" and sys.stdin is None:
        raise ImageError("-: standard input is closed")
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from error
    picture = decoded(data)
    if picture is None:
        reason = "is not an image, is cut short, or is not of 8 or 16 bits" if data else "is empty"
        raise ImageError(f"{path}: {reason}")
    return picture


def decoded(data: bytes) -> NDArray[np.uint8] | None:
    """An RGB uint8 frame (H, W, 3) from the bytes of an image file; None when they are none. Of 16 bits those are
    taken that a sensor's converter of 10, 12, 14 or 16 bits fills."""
    # Frames are taken as the sensor read them: an EXIF orientation would turn them against their camera file.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
        if picture is not None and picture.dtype == np.uint16:
            bits = next(bits for bits in (10, 12, 14, 16) if picture.max() < 1 << bits)
            picture = (picture >> (bits - 8)).astype(np.uint8)
        if picture is None or picture.dtype != np.uint8:
            return None
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    except cv2.error:  # a header that promises gigapixels, or more of them than memory holds
        return None


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width as the frame header of a JPEG tells (ITU-T T.81, B.2.2); None where there is none."""
    at = 2 if data[:2] == b"\xff\xd8" else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        # Any number of bytes 255 may stand before a marker; a segment states its length.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def image_paths(named: Iterable[str]) -> Iterator[str]:
    """Files as named, directories as the images in them, in order of name; what else they hold is told on standard
    error. Raises ImageError for one without images, and for an empty name."""
    for name in named:
        if not name:
            raise ImageError("an image's name is empty (a variable that is not set?)")
        if name != "-" and Path(name).is_dir():
            # A hidden file is no picture, whatever its name ends in: macOS keeps ._X.jpg beside X.jpg.
            shown = [path for path in Path(name).iterdir() if not path.name.startswith(".")]
            files = sorted(path for path in shown if path.is_file() or not path.exists())  # a link to nothing is told
            inside = [path for path in files if path.suffix.lower() in SUFFIXES]
            others = [path.suffix or "no suffix" for path in files if path.suffix.lower() not in SUFFIXES + _BESIDE]
            if others:
                kinds = ", ".join(sorted(set(others)))
                print(f"nadir: note: {name}: files passed over: {len(others)} ({kinds})", file=sys.stderr)
            if not inside:
                raise ImageError(f"{name}: a directory without images ({', '.join(SUFFIXES)})")
            yield from map(str, inside)
        else:
            yield name


def as_utf8(path: str | Path) -> str:
    """A file's name for JSON: bytes that are no UTF-8, which a string holds as lone surrogates, are spelt out."""
    return str(path).encode(errors="backslashreplace").decode()
