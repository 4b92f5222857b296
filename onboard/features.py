"""Local features: keypoints of SIFT (Lowe, IJCV 2004) on locally normalised luminance, described as the pack says."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.describer import Describer


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


@dataclass(frozen=True, eq=False)
class Features:
    """Keypoints of one picture, strongest first.

    xy (N, 2) float32 pixels; angle_deg (N,) float32, clockwise from +x as the picture is seen; scale_px (N,)
    float32, diameter of SIFT's neighbourhood; response (N,) float32; descriptors (N, D) float32 of unit length.
    """

    xy: NDArray[np.float32]
    angle_deg: NDArray[np.float32]
    scale_px: NDArray[np.float32]
    response: NDArray[np.float32]
    descriptors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, chosen: NDArray) -> "Features":
        return Features(
            self.xy[chosen], self.angle_deg[chosen], self.scale_px[chosen], self.response[chosen],
            self.descriptors[chosen],
        )  # fmt: skip


# SIFT keeps its own contrast limit low: local normalisation has made contrast a matter of the neighbourhood, and
# the number of features is bounded by `limit`.
_CONTRAST_THRESHOLD = 0.005
_EDGE_THRESHOLD = 20.0
# The finest keypoints repeat half as often between map and frame as all others (docs/results.md).
_FINEST_PX = 2.0
# Tiles of contrast equalisation, in pixels, the same on map and frame so that both look alike.
_TILE_PX = 64
RIM_PX = 6  # a keypoint nearer to the edge of a frame's view describes the edge
_CLIP_LIMIT = 4.0


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


def detect(even: NDArray[np.uint8], mask: NDArray[np.bool_], limit: int = 0) -> list[cv2.KeyPoint]:
    """Keypoints of equalised luminance (H, W) where ``mask`` is True, strongest first; at most ``limit`` (0: all)."""
    # Without precise upscaling every keypoint lies a quarter of a pixel too far right and down, which a turned frame
    # does not cancel: half a pixel of the map in the position.
    sift = cv2.SIFT_create(
        nfeatures=limit,
        contrastThreshold=_CONTRAST_THRESHOLD,
        edgeThreshold=_EDGE_THRESHOLD,
        enable_precise_upscale=True,
    )
    keypoints = [point for point in sift.detect(even, mask.astype(np.uint8)) if point.size >= _FINEST_PX]
    return sorted(keypoints, key=lambda point: -point.response)


def extract(picture: Picture, describer: Describer, limit: int = 0) -> Features:
    """Features of a picture, the ``limit`` strongest (0: all)."""
    keypoints = detect(picture.even, picture.mask, limit)
    xy = np.array([point.pt for point in keypoints], np.float32).reshape(-1, 2)
    angle_deg = np.array([point.angle for point in keypoints], np.float32)
    scale_px = np.array([point.size for point in keypoints], np.float32)
    response = np.array([point.response for point in keypoints], np.float32)
    descriptors = describer.describe(picture.grey, picture.even, xy, angle_deg, scale_px)
    return Features(xy, angle_deg, scale_px, response, descriptors)


def shrink_mask(mask: NDArray[np.bool_], margin_px: int) -> NDArray[np.bool_]:
    """The mask without a margin: a keypoint near an edge of the view describes the edge."""
    kernel = np.ones((2 * margin_px + 1,) * 2, np.uint8)
    return cv2.erode(mask.astype(np.uint8), kernel, borderValue=0).astype(bool)
