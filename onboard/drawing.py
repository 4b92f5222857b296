"""What the pictures for people are drawn with: OpenCV alone, in RGB."""

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

INK, FAINT, PAPER = (34, 34, 34), (120, 120, 120), (255, 255, 255)
GOOD, BAD = (27, 130, 60), (200, 40, 40)
_FONT = cv2.FontFace("sans")  # type: ignore[attr-defined]


def write(picture: Picture, text: str, at: tuple[int, int], size: int, colour: Colour = INK, weight: int = 400) -> None:
    """Draw a line of text with its baseline's left end at ``at``."""
    cv2.putText(picture, _drawable(text), at, colour, _FONT, size, weight)  # type: ignore[call-overload]


def width_of(text: str, size: int, weight: int = 400) -> int:
    """Pixels a line of text takes."""
    return int(cv2.getTextSize((1 << 15, 1 << 10), _drawable(text), (0, 0), _FONT, size, weight)[2])  # type: ignore[call-overload]


def write_beside(
    picture: Picture, text: str, at: tuple[int, int], away: int, size: int, colour: Colour = INK, weight: int = 400
) -> None:
    """Draw a line of text ``away`` pixels to the right of a mark, or to its left where that would leave the picture."""
    (x, y), wide = at, width_of(text, size, weight)
    left = x + away if x + away + wide + 3 < picture.shape[1] else x - away - wide
    write(picture, text, (left, y + size // 3), size, colour, weight)


def _drawable(text: str) -> str:
    """Text with a question mark for what is no character: of file names that are not UTF-8, on which OpenCV crashes."""
    return text.encode("utf-8", "replace").decode()
