"""Matches between the features of a frame and landmarks, and the place and heading each of them proposes.

The place is that of the view's aim, called the nadir here as it is for a camera looking straight down.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.features import Features
from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.ground_plane import Ground, GroundPlane, offsets_of
from onboard.landmarks import Catalogue
from onboard.picture import Picture, shrink_mask
from onboard.rectify import Rectified

SPOT_PX = 8.0  # keypoints, and landmarks, within such a square are one witness


@dataclass(frozen=True, eq=False)
class View:
    """What a rectified frame shows: features, and where they lie on the ground.

    ground_m (N, 2): metres right and down of the point that the camera's axis meets, the aim of ``plane`` (looking
    straight down: the nadir point); way_rad (N,): the same distance as an angle at the Earth's centre; bearing_deg
    (N,): direction from the aim, clockwise from image up; spot (N,) int64: the patch of ground a feature lies in, so
    that a clump of keypoints counts as one witness; pixels (N, 2): the features in the camera's own pixels; picture:
    the rectified frame, gsd_m a pixel, its aim at centre_px (x, y).
    """

    features: Features
    ground_m: Array
    way_rad: Array
    bearing_deg: Array
    spot: NDArray[np.int64]
    pixels: Array
    plane: GroundPlane
    picture: Picture
    gsd_m: float
    centre_px: tuple[float, float]

    def __len__(self) -> int:
        return len(self.features)

    @property
    def corners(self) -> Ground:
        """Ground offsets (4,) of the rectified picture's corners, metres right + i · down."""
        height, width = self.picture.mask.shape
        x, y = np.array([0, width, 0, width]), np.array([0, 0, height, height])
        return np.asarray((x - self.centre_px[0] + 1j * (y - self.centre_px[1])) * self.gsd_m)

    def pixels_of_ground(self, ground: Ground) -> Array:
        """Pixels (K, 2) of the rectified picture at ground offsets (K,), metres right + i · down."""
        return offsets_of(ground) / self.gsd_m + self.centre_px

    def shows(self, xy: Array, margin_px: int = 0) -> NDArray[np.bool_]:
        """Whether pixels (K, 2) of the rectified picture lie where features are looked for, so far from its edge."""
        mask = shrink_mask(self.picture.mask, margin_px) if margin_px else self.picture.mask
        column, row = np.rint(xy).astype(np.int64).T
        inside = (column >= 0) & (row >= 0) & (column < mask.shape[1]) & (row < mask.shape[0])
        inside[inside] = mask[row[inside], column[inside]]
        return inside


def view_of(features: Features, picture: Picture, rectified: Rectified, camera: Camera) -> View:
    """The features of a rectified frame of ``camera``."""
    ground_m = rectified.ground_m(features.xy.astype(np.float64))
    pixels = camera.project(rectified.plane.to_camera(ground_m))
    spot_m = SPOT_PX * rectified.gsd_m
    cell = np.floor(ground_m / spot_m).astype(np.int64)
    cell -= cell.min(axis=0, initial=0)
    return View(
        features,
        ground_m,
        np.hypot(ground_m[:, 0], ground_m[:, 1]) / EARTH_RADIUS_M,
        np.degrees(np.arctan2(ground_m[:, 0], -ground_m[:, 1])),
        cell[:, 0] * 65536 + cell[:, 1],
        pixels,
        rectified.plane,
        picture,
        rectified.gsd_m,
        rectified.centre_px,
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


def nadir_heading_deg(matches: Matches, view: View, catalogue: Catalogue, local_deg: NDArray) -> NDArray[np.float32]:
    """Heading (K,) in [0, 360) relative to north at the nadir point, of headings (K,) relative to north at the
    landmarks."""
    nadir = proposed_nadir(matches, view, catalogue, local_deg)
    azimuth = way_azimuth_deg(nadir, catalogue.unit[matches.landmark])
    return (azimuth - view.bearing_deg[matches.feature].astype(np.float32)) % 360.0


def proposed_nadir(matches: Matches, view: View, catalogue: Catalogue, heading_deg: NDArray) -> NDArray[np.float32]:
    """Unit vectors (K, 3) of the nadir point, if the frame lay at ``heading_deg`` (K,) from north at the landmark.

    From the landmark the nadir is found by walking back the way the frame shows it; the walk is along a great
    circle, so that poles and the antimeridian need no thought.
    """
    up = catalogue.unit[matches.landmark]
    north, east = north_east(up)
    back = np.radians(heading_deg + view.bearing_deg[matches.feature].astype(np.float32) + 180.0)
    way = view.way_rad[matches.feature].astype(np.float32)
    sideways = north * np.cos(back)[:, None] + east * np.sin(back)[:, None]
    return up * np.cos(way)[:, None] + sideways * np.sin(way)[:, None]


def north_east(up: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Local axes (K, 3) at unit vectors (K, 3)."""
    east = np.stack([-up[:, 1], up[:, 0], np.zeros(len(up), np.float32)], axis=1)
    east /= np.maximum(np.hypot(east[:, 0], east[:, 1]), 1e-9)[:, None]
    return np.cross(up, east), east


def way_azimuth_deg(start: NDArray[np.float32], end: NDArray[np.float32]) -> NDArray[np.float32]:
    """Azimuths (K,), degrees, at unit vectors (K, 3) of the way to others (K, 3)."""
    north, east = north_east(start)
    return np.degrees(np.arctan2((end * east).sum(axis=1), (end * north).sum(axis=1)))
