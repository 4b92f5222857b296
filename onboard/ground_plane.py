"""The ground before a camera held at a known angle to the vertical: rays to places around what its axis meets.

Offsets on the ground are azimuthal equidistant on the mean sphere around the point that the camera's axis meets, so
that a picture stays small, and place and heading of that point are all that is left to find, whatever the tilt.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array, ecef_from_nadir_camera, heading_deg_of, latlon_from_unit

Direction = tuple[float, float, float]
Ground = NDArray[np.complex128]  # ground offsets, metres right + i · metres down of the aim
STRAIGHT_DOWN: Direction = (0.0, 0.0, 1.0)
# Beyond this angle between ray and vertical a ground pixel is smeared over twice its width, and haze wins.
MAX_INCIDENCE_DEG = 60.0


@dataclass(frozen=True)
class GroundPlane:
    """altitude_m: of the camera, above the mean sphere; down_cam: unit vector of local down at the camera, in its axes.

    The aim is the point that the camera's axis meets: the nadir point of a camera looking straight down. Level axes
    there: +x right and +y down as in the picture, +z to the Earth's centre. Ground offsets (N, 2) are metres along the
    sphere, right and down of the aim. Where the axis is MAX_INCIDENCE_DEG or more off the vertical at the aim, or meets
    no Earth (incidence NaN), or the camera is not above it, the plane is not usable.
    """

    altitude_m: float
    down_cam: Direction = STRAIGHT_DOWN

    @cached_property
    def off_nadir_rad(self) -> float:
        """Between the camera's axis and down, at the camera."""
        return float(np.arctan2(np.hypot(*self.down_cam[:2]), self.down_cam[2]))

    @cached_property
    def incidence_rad(self) -> float:
        """Between the camera's axis and down, at the aim; NaN where the axis passes the Earth by."""
        sine = (1 + self.altitude_m / EARTH_RADIUS_M) * np.sin(self.off_nadir_rad)
        return float(np.arcsin(sine)) if sine <= 1 and self.down_cam[2] > 0 else float("nan")

    @property
    def usable(self) -> bool:
        return bool(self.altitude_m > 0 and self.incidence_rad < np.radians(MAX_INCIDENCE_DEG))

    @property
    def nadir_way_rad(self) -> float:
        """From the nadir point to the aim, seen from the Earth's centre."""
        return self.incidence_rad - self.off_nadir_rad

    @cached_property
    def slant_m(self) -> float:
        """From the camera to the aim."""
        height = (EARTH_RADIUS_M + self.altitude_m) * np.cos(self.off_nadir_rad)
        return float(height - EARTH_RADIUS_M * np.cos(self.incidence_rad))

    @cached_property
    def level_from_cam(self) -> Array:
        """Rotation (3, 3) from camera axes to the level axes at the aim."""
        across = np.array([*self.down_cam[:2], 0.0])
        across /= max(float(np.linalg.norm(across)), 1e-15)
        down_at_aim = np.sin(self.incidence_rad) * across + [0.0, 0.0, np.cos(self.incidence_rad)]
        return level_from_cam(down_at_aim)

    @cached_property
    def camera_m(self) -> Array:
        """The camera (3,) in the level axes at the aim."""
        return -self.slant_m * self.level_from_cam[:, 2]

    def to_camera(self, ground_m: Array) -> Array:
        """Points (N, 3), metres in camera axes, of ground offsets (N, 2)."""
        arc = np.hypot(ground_m[:, 0], ground_m[:, 1]) / EARTH_RADIUS_M
        across = ground_m * np.sinc(arc / np.pi)[:, None]
        level = np.column_stack([across, EARTH_RADIUS_M * (1 - np.cos(arc))])
        return (level - self.camera_m) @ self.level_from_cam

    def from_camera(self, rays_cam: Array) -> Array:
        """Ground offsets (N, 2) of unit rays (N, 3) in camera axes; NaN for rays that miss the sphere or meet it beyond
        MAX_INCIDENCE_DEG. Inverse of `to_camera`."""
        rays = rays_cam @ self.level_from_cam.T
        start = self.camera_m - [0.0, 0.0, EARTH_RADIUS_M]  # from the Earth's centre
        along = rays @ start
        excess = self.altitude_m * (2 * EARTH_RADIUS_M + self.altitude_m)
        with np.errstate(invalid="ignore"):
            root = np.sqrt(along**2 - excess)  # the sphere's radius times the cosine of the incidence
            seen = (along < 0) & (root >= EARTH_RADIUS_M * np.cos(np.radians(MAX_INCIDENCE_DEG)))
            met = start + (excess / (root - along))[:, None] * rays
        sideways = np.hypot(met[:, 0], met[:, 1])
        way = np.arctan2(sideways, -met[:, 2]) * EARTH_RADIUS_M
        direction = met[:, :2] / np.maximum(sideways, 1e-9)[:, None]
        return np.where(seen[:, None], direction * way[:, None], np.nan)

    def slope(self, ground_m: Array) -> Array:
        """How a point at ground offsets (N, 2) moves in the plane at distance 1 before the camera (right, down), for a
        metre right and for a metre down on the ground: (N, 2, 2), last axis the ground's.

        Of flat ground, which the Earth's is to a tenth up to MAX_INCIDENCE_DEG: good for weights.
        """
        rotation = self.level_from_cam
        offset = np.column_stack([ground_m, np.zeros(len(ground_m))]) - self.camera_m
        point = offset @ rotation
        seen, depth = point[:, :2] / point[:, 2:], point[:, 2]
        by_ground = rotation[:2, :2].T - seen[:, :, None] * rotation[:2, 2]
        return np.asarray(by_ground / depth[:, None, None])

    def aim(self, nadir_unit: ArrayLike, heading_deg: float) -> tuple[Array, float]:
        """The aim's unit vector (3,) and the heading of the picture's up there, in degrees, [0, 360), of a camera over
        ``nadir_unit`` (3,) whose up has the azimuth ``heading_deg`` at the nadir point."""
        unit = np.asarray(nadir_unit, np.float64)
        rotation = ecef_from_nadir_camera(*latlon_from_unit(unit), heading_deg) @ level_from_cam(
            np.array(self.down_cam)
        )
        sideways = rotation[:, 2] - (rotation[:, 2] @ unit) * unit
        sideways /= max(float(np.linalg.norm(sideways)), 1e-15)
        there = np.cos(self.nadir_way_rad) * unit + np.sin(self.nadir_way_rad) * sideways
        return there, heading_deg_of(rotation, *latlon_from_unit(there))


def level_from_cam(down_cam: Array) -> Array:
    """Rotation (3, 3) from camera axes to level ones: +z along the unit vector ``down_cam`` (3,), +y level and as near
    the camera's +y as can be, so that the picture's up stays up."""
    down = np.array([0.0, 1.0, 0.0]) - down_cam[1] * down_cam
    down /= np.linalg.norm(down)
    return np.stack([np.cross(down, down_cam), down, down_cam])


def as_ground(offsets_m: Array) -> Ground:
    """Ground offsets (N, 2), metres right and down, as complex numbers (N,)."""
    return np.ascontiguousarray(offsets_m, np.float64).view(np.complex128)[:, 0]


def offsets_of(ground: Ground) -> Array:
    """The inverse of `as_ground`."""
    return np.ascontiguousarray(ground).view(np.float64).reshape(-1, 2)
