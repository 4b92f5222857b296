"""What `localize` answers: a Fix, whole or with every estimate NaN, and the knowledge a caller may add."""

import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from onboard.geodesy import Array


class Status(Enum):
    """How a frame ended; anything but FIX carries no estimate."""

    FIX = "FIX"
    NO_MATCH = "NO_MATCH"  # features were seen, no place on the map explains them
    AMBIGUOUS = "AMBIGUOUS"  # two far-apart places explain them about as well
    FEATURELESS = "FEATURELESS"  # cloud, ocean: too little to see
    DARK = "DARK"
    SATURATED = "SATURATED"
    BAD_FRAME = "BAD_FRAME"  # not a uint8 picture of this camera, or an argument that makes no sense
    TIMEOUT = "TIMEOUT"
    PACK_CORRUPT = "PACK_CORRUPT"


@dataclass(frozen=True)
class Attitude:
    """Known pointing: unit quaternion (w, x, y, z) that turns camera axes to ECEF, and its sigma per axis."""

    quat_ecef_from_cam_wxyz: tuple[float, float, float, float]
    sigma_rad: float


@dataclass(frozen=True)
class Vertical:
    """Known direction of the local vertical, as a horizon sensor or the camera's mounting tells it: ``down_cam``, the
    geodetic down at the camera in its axes (+x right, +y down the picture, +z forward), and its sigma per axis."""

    down_cam: tuple[float, float, float]
    sigma_rad: float

    @classmethod
    def off_nadir(cls, off_nadir_deg: float, direction_deg: float, sigma_rad: float) -> "Vertical":
        """Of a camera whose axis is ``off_nadir_deg`` off the nadir; direction_deg: where in the picture the ground
        recedes towards the horizon, clockwise from the picture's up."""
        off, direction = np.radians([off_nadir_deg, direction_deg])
        x, y = -np.sin(off) * np.sin(direction), np.sin(off) * np.cos(direction)
        return cls((float(x), float(y), float(np.cos(off))), sigma_rad)


@dataclass(frozen=True)
class Prior:
    """Known place of the nadir point, and its sigma."""

    lat_deg: float
    lon_deg: float
    sigma_m: float


def _nan3() -> Array:
    return np.full(3, np.nan)


def _nan33() -> Array:
    return np.full((3, 3), np.nan)


def _nan4() -> Array:
    return np.full(4, np.nan)


@dataclass(frozen=True, eq=False)
class Fix:
    """The answer for one frame.

    lat_deg, lon_deg: geodetic WGS84 nadir point; altitude_m: above the ellipsoid; heading_deg: azimuth of the
    image's up direction; sigma_m: horizontal 1-sigma (root of the larger eigenvalue of the horizontal
    covariance); position_ecef_m (3,), covariance_ecef_m2 (3, 3), quat_ecef_from_cam_wxyz (4,);
    false_fix_probability: that a frame showing nothing of this map would have reached this score, told a place or not;
    inliers: landmarks in agreement, counted in distinct places (also set without a fix: the best hypothesis');
    votes: distinct places that voted for the best candidate; timings_ms: per stage.
    """

    status: Status
    reason: str = ""
    lat_deg: float = np.nan
    lon_deg: float = np.nan
    altitude_m: float = np.nan
    heading_deg: float = np.nan
    sigma_m: float = np.nan
    position_ecef_m: Array = field(default_factory=_nan3)
    covariance_ecef_m2: Array = field(default_factory=_nan33)
    quat_ecef_from_cam_wxyz: Array = field(default_factory=_nan4)
    false_fix_probability: float = np.nan
    inliers: int = 0
    votes: int = 0
    timestamp_ns: int | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.status is Status.FIX

    def chance_beyond(self, radius_m: float) -> float:
        """The chance, at most, that the nadir point is off by more than ``radius_m``: that another place was taken for
        this one, or that the error of the right one, of ``sigma_m`` along its worst direction, is so large (Rayleigh).
        What an alert limit is held against; NaN without a fix."""
        if not self:
            return np.nan
        sigmas = abs(radius_m) / self.sigma_m
        return min(1.0, self.false_fix_probability + math.exp(-0.5 * sigmas * sigmas))


def no_fix(
    status: Status,
    reason: str,
    *,
    inliers: int = 0,
    votes: int = 0,
    timestamp_ns: int | None = None,
    timings_ms: dict[str, float] | None = None,
) -> Fix:
    """The one constructor of failures: every estimate is NaN."""
    if status is Status.FIX:
        raise ValueError("no_fix makes failures; build a Fix for a fix")
    return Fix(status, reason, inliers=inliers, votes=votes, timestamp_ns=timestamp_ns, timings_ms=timings_ms or {})
