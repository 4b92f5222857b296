"""Pairs of patches: one keypoint found on the map and in a simulated frame, by exactly known geometry."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from export.regions import held_out
from onboard.camera import Camera
from onboard.features import RIM_PX, detect, keypoint_table
from onboard.geodesy import Array, geodetic_from_ecef, intersect_ellipsoid
from onboard.ground_plane import GroundPlane
from onboard.patches import PATCH_PX, patches_at
from onboard.picture import Picture, shrink_mask
from onboard.rectify import rectifier

# Room around a patch for the shifts of training.
MARGIN_PX = 2
STORED_PX = PATCH_PX + 2 * MARGIN_PX
# What still is the same keypoint, in pixels, degrees and as a ratio of sizes.
_NEAR_PX, _TURN_DEG, _RATIO = 1.8, 18.0, 1.35
_STRANGERS = 100  # keypoints of a frame without a partner that are kept: clouds, glint, noise


@dataclass(frozen=True, eq=False)
class PatchPairs:
    """frame, map (N, STORED_PX, STORED_PX) uint8, row by row the same place; strangers (M, STORED_PX, STORED_PX)
    uint8: of frames, without a partner, none of a region held out; lat_deg, lon_deg (N,) float32; size_px (N,) float32
    of the frame's keypoint; gsd_m (N,) float32 of the map."""

    frame: NDArray[np.uint8]
    map: NDArray[np.uint8]
    strangers: NDArray[np.uint8]
    lat_deg: NDArray[np.float32]
    lon_deg: NDArray[np.float32]
    size_px: NDArray[np.float32]
    gsd_m: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, chosen: NDArray) -> "PatchPairs":
        """Some of the pairs, and all strangers."""
        rows = {name: part[chosen] for name, part in vars(self).items() if name != "strangers"}
        return PatchPairs(strangers=self.strangers, **rows)

    @classmethod
    def concatenate(cls, parts: "list[PatchPairs]") -> "PatchPairs":
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__}
        )


@dataclass(frozen=True, eq=False)
class MapKeypoints:
    """The keypoints of a local map (what the service ``local_map`` returns) as the catalogue would have them."""

    local: Any
    grey: NDArray[np.uint8]
    xy: NDArray[np.float32]
    angle_deg: NDArray[np.float32]
    size_px: NDArray[np.float32]

    @classmethod
    def of(cls, local: Any) -> "MapKeypoints":
        picture = Picture.of(local.rgb, np.ones(local.mask.shape, bool))
        return cls(local, picture.grey, *_arrays(detect(replace(picture, mask=local.mask))))


def pairs_of_frame(
    frame: NDArray[np.uint8],
    camera: Camera,
    truth: Any,
    nominal_altitude_m: float,
    chart: MapKeypoints,
    limit: int,
    rng: np.random.Generator,
) -> PatchPairs | None:
    """The pairs of a frame and the map around it, None when it shows too little.

    truth: of the frame (`sim.batch.Truth`); nominal_altitude_m: what the runtime would believe; limit: keypoints used
    of the frame. The frame is rectified as in flight, not knowing its tilt; its keypoints are then sent to the ground
    by the true rays.
    """
    gsd_m = chart.local.gsd_m
    seen = rectifier(camera, GroundPlane(nominal_altitude_m), gsd_m)(frame)
    picture = Picture.of(seen.image, shrink_mask(seen.mask, RIM_PX))
    xy, angle_deg, size_px = _arrays(detect(picture, limit))
    if not len(xy) or not len(chart.xy):
        return None
    pixels = camera.project(seen.plane.to_camera(seen.ground_m(xy.astype(np.float64))))
    ground = intersect_ellipsoid(truth.position_ecef_m, camera.rays(pixels) @ truth.ecef_from_cam.T)
    lat, lon, _ = geodetic_from_ecef(ground)
    on_map = chart.local.pixels(lat, lon)
    own, partner = _partners(on_map, angle_deg + truth.heading_deg, size_px, chart)
    alone = np.setdiff1d(np.arange(len(xy)), own)
    strangers = rng.permutation(alone[~held_out(lat[alone], lon[alone], PATCH_PX * gsd_m)])[:_STRANGERS]
    return PatchPairs(
        patches_at(picture.grey, xy[own], angle_deg[own], STORED_PX),
        patches_at(chart.grey, chart.xy[partner], chart.angle_deg[partner], STORED_PX),
        patches_at(picture.grey, xy[strangers], angle_deg[strangers], STORED_PX),
        lat[own].astype(np.float32), lon[own].astype(np.float32), size_px[own],
        np.full(len(own), gsd_m, np.float32),
    )  # fmt: skip


def _arrays(keypoints: Sequence[cv2.KeyPoint]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    table = keypoint_table(keypoints)
    return np.ascontiguousarray(table[:, :2]), table[:, 2], table[:, 3]


def _partners(
    on_map: Array, azimuth_deg: NDArray, size_px: NDArray, chart: MapKeypoints
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the frame's keypoints and of the map's that are one, each at most once."""
    where = np.nan_to_num(on_map, nan=-1e6)
    _, near = cKDTree(chart.xy).query(where, min(8, len(chart.xy)))
    near = near.reshape(len(where), -1)
    turn = (azimuth_deg[:, None] - chart.angle_deg[near] + 180) % 360 - 180
    off = np.linalg.norm(on_map[:, None] - chart.xy[near], axis=2)
    ratio = np.abs(np.log(size_px[:, None] / chart.size_px[near]))
    fits = (off < _NEAR_PX) & (np.abs(turn) < _TURN_DEG) & (ratio < np.log(_RATIO))
    cost = np.where(fits, off + np.abs(turn) / 12 + 3 * ratio, np.inf)
    best = cost.argmin(axis=1)
    own = np.flatnonzero(np.isfinite(cost.min(axis=1)))
    # Nearest first, so that `unique` keeps the nearest of those that ask for the same partner.
    own = own[np.argsort(cost[own, best[own]], kind="stable")]
    partner = near[own, best[own]].astype(np.int64)
    _, first = np.unique(partner, return_index=True)
    return own[first], partner[first]
