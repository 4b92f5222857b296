"""What the tracker answers: an OrbitState, whole or with every estimate NaN."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from onboard.fix import Fix
from onboard.geodesy import Array, geodetic_from_ecef, horizontal_covariance
from onboard.orbit_filter import bent
from onboard.orbit_fit import OrbitEstimate
from onboard.orbit_motion import inertial_velocity, track_rad


class TrackStatus(Enum):
    """How the orbit is known; SEARCHING carries no estimate."""

    SEARCHING = "SEARCHING"  # no orbit yet, or lost
    TRACKING = "TRACKING"  # the frame was used
    COASTING = "COASTING"  # predicted: the frame said nothing, or nothing that fits


def _nan3() -> Array:
    return np.full(3, np.nan)


def _nan66() -> Array:
    return np.full((6, 6), np.nan)


@dataclass(frozen=True, eq=False)
class OrbitState:
    """Where the satellite is and how it moves, at ``timestamp_ns`` of the caller's clock.

    position_ecef_m (3,); velocity_ecef_m_s (3,): as seen from the turning Earth; velocity_inertial_m_s (3,): along the
    inertial axes that coincide with ECEF at the timestamp; covariance (6, 6): of position and velocity in ECEF;
    lat_deg, lon_deg, altitude_m: geodetic WGS84 nadir point and height; sigma_m: of the nadir point, along its worst
    direction; heading_deg: azimuth of the image's up direction; mount_heading_deg: that less the azimuth of the
    inertial velocity;
    frames_used: since the orbit was found; false_track_probability: that frames showing nothing known, but for one,
    would have agreed on an orbit as these did when it was found (of an orbit begun with one fix: that fix's own);
    fix: what the frame said alone, None for a prediction.
    """

    status: TrackStatus
    reason: str = ""
    timestamp_ns: int | None = None
    position_ecef_m: Array = field(default_factory=_nan3)
    velocity_ecef_m_s: Array = field(default_factory=_nan3)
    velocity_inertial_m_s: Array = field(default_factory=_nan3)
    covariance: Array = field(default_factory=_nan66)
    lat_deg: float = np.nan
    lon_deg: float = np.nan
    altitude_m: float = np.nan
    sigma_m: float = np.nan
    heading_deg: float = np.nan
    mount_heading_deg: float = np.nan
    frames_used: int = 0
    false_track_probability: float = np.nan
    fix: Fix | None = None

    def __bool__(self) -> bool:
        return self.status is not TrackStatus.SEARCHING


def searching(reason: str, timestamp_ns: int | None, fix: Fix | None = None) -> OrbitState:
    """The one constructor of states without an orbit: every estimate is NaN."""
    return OrbitState(TrackStatus.SEARCHING, reason, timestamp_ns, fix=fix)


def state_of(
    estimate: OrbitEstimate,
    status: TrackStatus,
    reason: str,
    timestamp_ns: int,
    *,
    mount_heading_deg: float,
    frames_used: int,
    false_track_probability: float,
    fix: Fix | None = None,
) -> OrbitState:
    """An estimate for people and flight software."""
    estimate = bent(estimate)
    position, velocity = estimate.state[:3].copy(), estimate.state[3:].copy()
    lat, lon, altitude = (float(value) for value in geodetic_from_ecef(position))
    return OrbitState(
        status,
        reason,
        timestamp_ns,
        position,
        velocity,
        inertial_velocity(position, velocity),
        estimate.covariance[:6, :6].copy(),
        lat,
        lon,
        altitude,
        horizontal_sigma_m(estimate),
        float(np.degrees(track_rad(estimate.state)) + mount_heading_deg) % 360,
        mount_heading_deg,
        frames_used,
        false_track_probability,
        fix,
    )


def horizontal_sigma_m(estimate: OrbitEstimate) -> float:
    """1-sigma of the position along the worst horizontal direction."""
    spread = horizontal_covariance(estimate.state[:3], estimate.covariance[:3, :3])
    return float(np.sqrt(np.linalg.eigvalsh(spread)[-1]))
