"""Local features: keypoints of SIFT (Lowe, IJCV 2004) on locally normalised luminance, turned and described as the pack
says."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.clock import Clock
from onboard.describer import Describer
from onboard.orientation import OrientationNetwork
from onboard.picture import Picture


@dataclass(frozen=True, eq=False)
class Features:
    """Keypoints of one picture, strongest first.

    xy (N, 2) float32 pixels; angle_deg (N,) float32, clockwise from +x as the picture is seen; turned_log_share (N,)
    float32, the log of that direction's share of the likelihood of all, 0 where SIFT found it; scale_px (N,) float32,
    diameter of SIFT's neighbourhood; response (N,) float32; descriptors (N, D) float32 of unit length.
    """

    xy: NDArray[np.float32]
    angle_deg: NDArray[np.float32]
    turned_log_share: NDArray[np.float32]
    scale_px: NDArray[np.float32]
    response: NDArray[np.float32]
    descriptors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, chosen: NDArray) -> "Features":
        return Features(**{name: part[chosen] for name, part in vars(self).items()})


# Of the contrast that local normalisation leaves. The fainter fifth of a frame's keypoints, down to 0.005, brings one
# right match in a hundred (docs/decisions.md).
_CONTRAST_THRESHOLD = 0.024
_EDGE_THRESHOLD = 20.0
# The finest keypoints repeat half as often between map and frame as all others (docs/decisions.md).
_FINEST_PX = 2.0
RIM_PX = 6  # a keypoint nearer to the edge of a frame's view describes the edge


def detect(picture: Picture, limit: int = 0) -> list[cv2.KeyPoint]:
    """Keypoints where a picture's mask is True, strongest first; at most ``limit`` (0: all)."""
    # Without precise upscaling every keypoint lies a quarter of a pixel too far right and down, which a turned frame
    # does not cancel: half a pixel of the map in the position.
    sift = cv2.SIFT_create(
        nfeatures=limit,
        contrastThreshold=_CONTRAST_THRESHOLD,
        edgeThreshold=_EDGE_THRESHOLD,
        enable_precise_upscale=True,
    )
    keypoints = [
        point for point in sift.detect(picture.even, picture.mask.astype(np.uint8)) if point.size >= _FINEST_PX
    ]
    return sorted(keypoints, key=lambda point: -point.response)


def keypoint_table(keypoints: Sequence[cv2.KeyPoint]) -> NDArray[np.float32]:
    """Keypoints (N, 5) float32: x, y, angle in degrees, size, response."""
    rows = [(*point.pt, point.angle, point.size, point.response) for point in keypoints]
    return np.array(rows, np.float32).reshape(-1, 5)


def once_a_place(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first of the keypoints (N, 5) at each place: SIFT repeats those that it turns two ways."""
    return table[np.sort(np.unique(table[:, :2], axis=0, return_index=True)[1])]


def extract(
    picture: Picture,
    describer: Describer,
    orientation: OrientationNetwork | None,
    limit: int = 0,
    directions: int = 1,
    clock: Clock | None = None,
) -> Features:
    """Features of a picture, the ``limit`` strongest keypoints (0: all). Each is described in as many ``directions`` as
    the orientation network finds likely, at most so many; without one, in those that SIFT found. clock: raises Rejected
    between one step and the next once its time is over."""
    clock = clock or Clock(None)
    table = keypoint_table(detect(picture, limit))
    clock.check()
    log_share = np.zeros(len(table), np.float32)
    if orientation is not None:
        table = once_a_place(table)
        number, angle_deg, log_share = orientation.directions(picture.grey, table[:, :2], directions)
        table = table[number]
        table[:, 2] = angle_deg
        clock.check()
    xy, (angle_deg, scale_px, response) = np.ascontiguousarray(table[:, :2]), table[:, 2:].T.copy()
    descriptors = describer.describe(picture, xy, angle_deg, scale_px)
    return Features(xy, angle_deg, log_share, scale_px, response, descriptors)
