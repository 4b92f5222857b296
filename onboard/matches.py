"""Matches between the features of a frame and landmarks, and the place and heading each of them proposes.

The place is that of the view's aim, called the nadir here as it is for a camera looking straight down.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.features import Features
from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.ground_plane import GroundPlane
from onboard.landmarks import Catalogue


@dataclass(frozen=True, eq=False)
class View:
    """What a rectified frame shows: features, and where they lie on the ground.

    ground_m (N, 2): metres right and down of the point that the camera's axis meets, the aim of ``plane`` (looking
    straight down: the nadir point); way_rad (N,): the same distance as an angle at the Earth's centre; bearing_deg
    (N,): direction from the aim, clockwise from image up; spot (N,) int64: the patch of ground a feature lies in, so
    that a clump of keypoints counts as one witness; pixels (N, 2): the features in the camera's own pixels.
    """

    features: Features
    ground_m: Array
    way_rad: Array
    bearing_deg: Array
    spot: NDArray[np.int64]
    pixels: Array
    plane: GroundPlane

    def __len__(self) -> int:
        return len(self.features)


def view_of(features: Features, ground_m: Array, pixels: Array, spot_m: float, plane: GroundPlane) -> View:
    """A View; ``spot_m`` is the side of the patches that count as one witness."""
    cell = np.floor(ground_m / spot_m).astype(np.int64)
    cell -= cell.min(axis=0, initial=0)
    return View(
        features,
        ground_m,
        np.hypot(ground_m[:, 0], ground_m[:, 1]) / EARTH_RADIUS_M,
        np.degrees(np.arctan2(ground_m[:, 0], -ground_m[:, 1])),
        cell[:, 0] * 65536 + cell[:, 1],
        pixels,
        plane,
    )


@dataclass(frozen=True, eq=False)
class Matches:
    """K pairs of a feature and a landmark, by number; int64 (K,) each."""

    feature: NDArray[np.int64]
    landmark: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.feature)

    def keys(self) -> NDArray[np.int64]:
        """One number a pair (K,)."""
        return self.feature * 2**32 + self.landmark

    def __getitem__(self, chosen: NDArray) -> "Matches":
        return Matches(self.feature[chosen], self.landmark[chosen])


def local_heading_deg(matches: Matches, view: View, catalogue: Catalogue) -> NDArray[np.float32]:
    """Heading (K,) of the frame that each match proposes, in [0, 360), relative to north at the landmark."""
    return (catalogue.angle_deg[matches.landmark] - view.features.angle_deg[matches.feature]) % 360.0


def scale_agrees(matches: Matches, view: View, catalogue: Catalogue, ratio: float) -> NDArray[np.bool_]:
    """Whether the two keypoints have the same size on the ground within a factor ``ratio``."""
    frame, landmark = view.features.scale_px[matches.feature], catalogue.scale_px[matches.landmark]
    return (frame < landmark * ratio) & (landmark < frame * ratio)


def nadir_heading_deg(matches: Matches, view: View, catalogue: Catalogue, local_deg: NDArray) -> NDArray[np.float32]:
    """Heading (K,) in [0, 360) relative to north at the nadir point, of headings (K,) relative to north at the
    landmarks."""
    nadir = proposed_nadir(matches, view, catalogue, local_deg)
    north, east = _north_east(nadir)
    landmark = catalogue.unit[matches.landmark]
    azimuth = np.degrees(np.arctan2((landmark * east).sum(axis=1), (landmark * north).sum(axis=1)))
    return (azimuth - view.bearing_deg[matches.feature].astype(np.float32)) % 360.0


def proposed_nadir(matches: Matches, view: View, catalogue: Catalogue, heading_deg: NDArray) -> NDArray[np.float32]:
    """Unit vectors (K, 3) of the nadir point, if the frame lay at ``heading_deg`` (K,) from north at the landmark.

    From the landmark the nadir is found by walking back the way the frame shows it; the walk is along a great
    circle, so that poles and the antimeridian need no thought.
    """
    up = catalogue.unit[matches.landmark]
    north, east = _north_east(up)
    back = np.radians(heading_deg + view.bearing_deg[matches.feature].astype(np.float32) + 180.0)
    way = view.way_rad[matches.feature].astype(np.float32)
    sideways = north * np.cos(back)[:, None] + east * np.sin(back)[:, None]
    return up * np.cos(way)[:, None] + sideways * np.sin(way)[:, None]


def _north_east(up: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Local axes (K, 3) at unit vectors (K, 3)."""
    east = np.stack([-up[:, 1], up[:, 0], np.zeros(len(up), np.float32)], axis=1)
    east /= np.maximum(np.hypot(east[:, 0], east[:, 1]), 1e-9)[:, None]
    return np.cross(up, east), east
