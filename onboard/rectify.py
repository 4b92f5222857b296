"""A frame resampled to the catalogue's constant ground sampling distance, by its rays.

The ground plane is azimuthal equidistant around the nadir point on the mean sphere, image up staying image up, so
that a wide field and the Earth's curvature leave only place and heading to be found.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.geodesy import EARTH_RADIUS_M, Array

# Beyond this angle between ray and vertical a ground pixel is smeared over twice its width, and haze wins.
MAX_INCIDENCE_DEG = 60.0


@dataclass(frozen=True, eq=False)
class Rectified:
    """image (H, W, 3) uint8 RGB; mask (H, W) bool, True where the frame saw the ground; centre_px (x, y): the
    pixel of the nadir point."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    gsd_m: float
    centre_px: tuple[float, float]

    def ground_m(self, pixels: Array) -> Array:
        """Metres (N, 2) right and down of the nadir point, along the ground, of pixels (N, 2)."""
        return (np.asarray(pixels, np.float64) - self.centre_px) * self.gsd_m


@dataclass(frozen=True, eq=False)
class Rectifier:
    """The resampling of one camera at one height, made once and used for many frames.

    reduced: camera of the frame after INTER_AREA reduction, so that no detail is aliased; map_x, map_y: float32
    (H, W) pixels in the reduced frame; mask (H, W).
    """

    reduced: Camera
    map_x: NDArray[np.float32]
    map_y: NDArray[np.float32]
    mask: NDArray[np.bool_]
    gsd_m: float
    centre_px: tuple[float, float]

    def __call__(self, frame: NDArray[np.uint8]) -> Rectified:
        """Rectify a uint8 RGB frame (height, width, 3) of the camera."""
        if frame.shape[:2] != (self.reduced.height, self.reduced.width):
            frame = cv2.resize(frame, (self.reduced.width, self.reduced.height), interpolation=cv2.INTER_AREA)
        image = cv2.remap(frame, self.map_x, self.map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return Rectified(image, self.mask, self.gsd_m, self.centre_px)


def ground_to_camera(ground_m: Array, altitude_m: float) -> Array:
    """Points (N, 3) in the axes of a camera looking straight down, of ground offsets (N, 2) right and down."""
    arc = np.hypot(ground_m[:, 0], ground_m[:, 1]) / EARTH_RADIUS_M
    across = ground_m * np.sinc(arc / np.pi)[:, None]
    depth = altitude_m + EARTH_RADIUS_M * (1 - np.cos(arc))
    return np.column_stack([across, depth])


def camera_to_ground(rays_cam: Array, altitude_m: float) -> Array:
    """Ground offsets (N, 2), metres right and down of the nadir point, of rays (N, 3) of a camera looking straight
    down; NaN for rays that miss the sphere or meet it beyond MAX_INCIDENCE_DEG. Inverse of `ground_to_camera`."""
    sideways = np.hypot(rays_cam[:, 0], rays_cam[:, 1])
    off_nadir = np.arctan2(sideways, rays_cam[:, 2])
    with np.errstate(invalid="ignore"):
        incidence = np.arcsin((EARTH_RADIUS_M + altitude_m) / EARTH_RADIUS_M * np.sin(off_nadir))
        way = (incidence - off_nadir) * EARTH_RADIUS_M
        seen = (rays_cam[:, 2] > 0) & (incidence <= np.radians(MAX_INCIDENCE_DEG))
    direction = rays_cam[:, :2] / np.maximum(sideways, 1e-15)[:, None]
    return np.where(seen[:, None], direction * way[:, None], np.nan)


@lru_cache(maxsize=4)
def rectifier(camera: Camera, altitude_m: float, gsd_m: float) -> Rectifier:
    """The rectifier of a camera held at ``altitude_m`` looking at the nadir; gsd_m: metres per output pixel."""
    factor = max(1, int(gsd_m * max(camera.fx, camera.fy) / altitude_m))
    reduced = camera.scaled_to(max(16, round(camera.width / factor)), max(16, round(camera.height / factor)))

    ground = camera_to_ground(reduced.rays(reduced.pixel_grid()), altitude_m)
    left_up, right_down = np.nanmin(ground, axis=0), np.nanmax(ground, axis=0)
    width, height = (np.ceil((right_down - left_up) / gsd_m).astype(int) + 1).tolist()
    centre_px = tuple((-left_up / gsd_m).tolist())
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    offsets = (np.stack([x.ravel(), y.ravel()], axis=1) - centre_px) * gsd_m
    points = ground_to_camera(offsets, altitude_m)
    pixels = reduced.project(points)
    # A strong distortion may fold rays from outside the field back into the picture: keep those that come back.
    half = np.array([reduced.width, reduced.height]) / 2
    inside = np.asarray((np.abs(pixels + 0.5 - half) <= half).all(axis=1))
    back = camera_to_ground(reduced.rays(np.where(inside[:, None], pixels, 0.0)), altitude_m)
    with np.errstate(invalid="ignore"):
        inside &= np.hypot(*(back - offsets).T) < gsd_m
    map_x, map_y = (pixels[:, axis].reshape(height, width).astype(np.float32) for axis in (0, 1))
    mask = np.asarray(inside).reshape(height, width)
    if reduced.mask is not None:
        seen = cv2.remap(reduced.mask.astype(np.uint8), map_x, map_y, cv2.INTER_NEAREST, borderValue=0)
        mask = mask & (seen > 0)
    return Rectifier(reduced, map_x, map_y, mask, gsd_m, centre_px)
