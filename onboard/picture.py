"""Pictures as features see them: grey, locally equalised, and where they show anything."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Tiles of contrast equalisation, in pixels, the same on map and frame so that both look alike.
_TILE_PX = 64
_CLIP_LIMIT = 4.0


@dataclass(frozen=True, eq=False)
class Picture:
    """What features are looked for in: grey (H, W) uint8 luminance, even (H, W) uint8 the same locally equalised, mask
    (H, W) bool, True where keypoints may lie."""

    grey: NDArray[np.uint8]
    even: NDArray[np.uint8]
    mask: NDArray[np.bool_]

    @classmethod
    def of(cls, rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> "Picture":
        """Of an RGB uint8 picture (H, W, 3); mask (H, W): where it shows anything."""
        grey = luminance(rgb, mask)
        return cls(grey, equalised(grey), mask)


def luminance(rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """BT.601 luminance (H, W) uint8. Masked pixels take the blurred value of their surroundings, so that a rim makes no
    edge."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    if mask.all():
        return grey
    share = cv2.boxFilter(mask.astype(np.float32), -1, (_TILE_PX + 1, _TILE_PX + 1))
    total = cv2.boxFilter(np.where(mask, grey, 0).astype(np.float32), -1, (_TILE_PX + 1, _TILE_PX + 1))
    return np.where(mask, grey, (total / np.maximum(share, 1e-3)).astype(np.uint8))


def equalised(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Contrast-limited adaptive equalisation (CLAHE, Zuiderveld 1994) of luminance (H, W)."""
    tiles = (max(1, round(grey.shape[1] / _TILE_PX)), max(1, round(grey.shape[0] / _TILE_PX)))
    return cv2.createCLAHE(_CLIP_LIMIT, tiles).apply(grey)


def shrink_mask(mask: NDArray[np.bool_], margin_px: int) -> NDArray[np.bool_]:
    """The mask without a margin: a keypoint near an edge of the view describes the edge."""
    kernel = np.ones((2 * margin_px + 1,) * 2, np.uint8)
    return cv2.erode(mask.astype(np.uint8), kernel, borderValue=0).astype(bool)
