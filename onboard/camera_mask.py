"""A camera's mask from its own frames: what never changes while the Earth passes by is the spacecraft."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.errors import CameraError

_WIDTH = 648  # structure a pixel wide in a full frame is not the mask's business
_FEWEST = 12
_SPECK_PX = 60
_MARGIN = 0.006  # of the width: rims move with temperature, and light spills over them


def estimate_mask(frames: Iterable[NDArray[np.uint8]]) -> NDArray[np.bool_]:
    """The mask (H, W), True where the Earth is seen, of many RGB or grey frames of one size, far enough apart.

    The median over frames keeps only what stands still. Its dark part is the inside of a window's frame; sharp
    detail in it, where the Earth averages to nothing, is structure. Raises CameraError for too few frames or for
    frames of different sizes.
    """
    stack: list[NDArray[np.uint8]] = []
    size: tuple[int, ...] | None = None
    for frame in frames:
        size = size or frame.shape[:2]
        if frame.shape[:2] != size:
            raise CameraError(f"frames of different sizes: {size[::-1]} and {frame.shape[1::-1]}")
        grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        scale = min(1.0, _WIDTH / size[1])
        stack.append(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    if size is None or len(stack) < _FEWEST:
        raise CameraError(f"{len(stack)} frames are too few to tell the Earth from structure: {_FEWEST} or more")
    still = np.median(np.array(stack), axis=0).astype(np.uint8)

    smooth = cv2.GaussianBlur(still, (0, 0), 2)
    level, _ = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    # With nothing dark in the picture Otsu's threshold cuts the Earth in two: then all of it is lit.
    lit = smooth > level if smooth.min() < 0.4 * np.median(smooth) else np.ones(smooth.shape, bool)
    detail = np.abs(still.astype(np.float32) - cv2.GaussianBlur(still, (0, 0), 6))
    structure = _without_specks(detail > 8 * max(1.0, float(np.median(detail[lit]))))
    margin = max(1, round(_MARGIN * still.shape[1]))
    seen = lit & ~structure
    count, labels, sizes, _ = cv2.connectedComponentsWithStats(seen.astype(np.uint8), connectivity=4)
    if count < 2:
        raise CameraError("no part of the frames changes as the Earth would; are they of a flight?")
    largest = labels == 1 + int(np.argmax(sizes[1:, cv2.CC_STAT_AREA]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    # The picture's own border is no structure: it is not eroded.
    largest = cv2.erode(largest.astype(np.uint8), kernel, borderValue=1)
    return cv2.resize(largest, size[::-1], interpolation=cv2.INTER_NEAREST).astype(bool)


def _without_specks(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without groups of a few pixels: what is left of clouds in a median of few frames."""
    _, labels, sizes, _ = cv2.connectedComponentsWithStats(marked.astype(np.uint8), connectivity=8)
    large = sizes[:, cv2.CC_STAT_AREA] >= _SPECK_PX
    large[0] = False
    return large[labels]
