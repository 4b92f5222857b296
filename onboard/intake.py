"""The first look at a frame: is it a picture of this camera, and is there anything to see?"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.errors import CameraError
from onboard.fix import Status

# Limits on what is seen inside the mask. They only name the reason: a frame within them may still find no match.
DARK_LEVEL = 12  # grey level below which nothing is told from noise
# An amplifier turned up at night shows its own noise as an even grey: as bright at most, and as even.
NIGHT_LEVEL, NIGHT_SPREAD = 26, 12
SATURATED_LEVEL = 250
SHARE = 0.97  # of the pixels, before a whole frame is called dark or saturated
_SCREEN_WIDTH = 160


class Rejected(Exception):
    """A frame refused at intake; carries the status and the reason. Never leaves the localizer."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def camera_of_frame(frame: Any, camera: Camera) -> Camera:
    """The camera at the frame's size. Raises Rejected (BAD_FRAME) for anything that is no picture of it."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        kind = f"{frame.dtype} array" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise Rejected(Status.BAD_FRAME, f"a frame is a uint8 array, this is a {kind}")
    if frame.ndim not in (2, 3) or (frame.ndim == 3 and frame.shape[2] != 3) or min(frame.shape[:2]) < 16:
        raise Rejected(Status.BAD_FRAME, f"a frame is HxWx3 RGB or HxW, at least 16x16, this is {frame.shape}")
    try:
        return _scaled(camera, frame.shape[1], frame.shape[0])
    except CameraError as error:
        raise Rejected(Status.BAD_FRAME, str(error)) from error


# One object for one size, so that what is prepared for a camera (rectify.rectifier) is prepared once.
@lru_cache(maxsize=8)
def _scaled(camera: Camera, width: int, height: int) -> Camera:
    return camera.scaled_to(width, height)


def forget_sizes() -> None:
    """Let go of the cameras kept for the sizes of frames."""
    _scaled.cache_clear()


def as_rgb(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame as H×W×3."""
    return frame if frame.ndim == 3 else cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB)


@dataclass(frozen=True)
class Screening:
    """Grey levels of a frame inside its mask: ``low`` and ``high`` hold all but 3 % of the pixels below and above;
    ``saturated``: share of the pixels at the top of the range."""

    low: float
    high: float
    saturated: float

    @property
    def dark(self) -> bool:
        return self.high < DARK_LEVEL or (self.high < NIGHT_LEVEL and self.high - self.low < NIGHT_SPREAD)

    @property
    def overexposed(self) -> bool:
        return self.saturated > SHARE

    def refuse(self) -> None:
        """Raises Rejected for frames too dark or too bright to show anything."""
        if self.dark:
            raise Rejected(Status.DARK, "the frame is dark: night, or a closed cover")
        if self.overexposed:
            raise Rejected(Status.SATURATED, "the frame is saturated: overexposed or looking into the Sun")


def screening(frame: NDArray[np.uint8], camera: Camera) -> Screening:
    """Measure a frame of ``camera``. Raises Rejected (BAD_FRAME) when the camera's mask hides all of it."""
    size = _SCREEN_WIDTH, max(1, round(_SCREEN_WIDTH * frame.shape[0] / frame.shape[1]))
    # Averaged, so that the noise of single pixels is no light; halved first, which OpenCV does many times faster.
    while frame.shape[1] >= 2 * size[0] and frame.shape[0] >= 2 * size[1]:
        frame = cv2.resize(frame, (frame.shape[1] // 2, frame.shape[0] // 2), interpolation=cv2.INTER_AREA)
    sample = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    grey = sample if sample.ndim == 2 else sample.max(axis=2)
    if camera.mask is not None:
        grey = grey[cv2.resize(camera.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0]
    if grey.size == 0:
        raise Rejected(Status.BAD_FRAME, "the camera's mask hides the whole frame")
    low, high = np.quantile(grey, [1 - SHARE, SHARE])
    return Screening(float(low), float(high), float((grey > SATURATED_LEVEL).mean()))
