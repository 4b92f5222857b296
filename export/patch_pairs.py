"""Pairs of patches cut out of views: the map around a keypoint, and the frame where that keypoint is."""

import numpy as np
from numpy.typing import NDArray

from export.views import Views
from onboard.patches import PATCH_PX, patches_at

Patches = NDArray[np.uint8]


def cut_pairs(
    views: Views, rows: NDArray[np.int64], off_px: NDArray, frame_turn_deg: NDArray, map_turn_deg: NDArray
) -> tuple[Patches, Patches]:
    """Patches (N, PATCH_PX, PATCH_PX) uint8 of the frame and of the map at keypoints ``rows`` (N,).

    off_px (N, 2): how far beside the keypoint the frame's patch is cut; frame_turn_deg, map_turn_deg (N,): directions.
    """
    frame = _cut(views, views.frame, rows, off_px, frame_turn_deg)
    return frame, _cut(views, views.map, rows, np.zeros_like(off_px), map_turn_deg)


def turned_pairs(
    views: Views, rows: NDArray[np.int64], place_px: float, rng: np.random.Generator
) -> tuple[Patches, Patches, NDArray[np.float32]]:
    """Patches of frame and map at keypoints ``rows`` (N,), each turned at random, the frame's up to ``place_px`` beside
    it an axis, and by how much the frame's is turned clockwise from the map's, degrees (N,)."""
    off_px = rng.uniform(-place_px, place_px, (len(rows), 2))
    frame_deg, map_deg = rng.uniform(0, 360, (2, len(rows))).astype(np.float32)
    return *cut_pairs(views, rows, off_px, frame_deg, map_deg), frame_deg - map_deg


def _cut(views: Views, pictures: Patches, rows: NDArray[np.int64], off_px: NDArray, turn_deg: NDArray) -> Patches:
    number, xy = views.view[rows], (views.xy[rows] + off_px).astype(np.float32)
    out = np.empty((len(rows), PATCH_PX, PATCH_PX), np.uint8)
    for view in np.unique(number):
        of_view = np.flatnonzero(number == view)
        out[of_view] = patches_at(pictures[view], xy[of_view], turn_deg[of_view].astype(np.float32))
    return out
