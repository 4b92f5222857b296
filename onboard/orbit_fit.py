"""An orbit through a few positions: least squares over one arc, with what is known of near-circular orbits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onboard.geodesy import Array
from onboard.orbit_motion import (
    EARTH_GM_M3_S2,
    SPIN_RAD_S,
    earth_fixed_velocity,
    inertial_velocity,
    level_velocity,
    propagate,
    propagate_with_transition,
)

# 1-sigma of the eccentricity vector of a working low orbit, J2's own short-period part (1e-3) included.
_NEAR_CIRCULAR = 2e-3
PRIORS = 4  # residuals of what is known of any orbit without a measurement
LEAN = slice(6, 8)  # of a covariance (8, 8)
_ITERATIONS = 8
_SETTLED_M, _SETTLED_M_S = 1.0, 0.1
_LEAST_SINE = 1e-9  # over the equator inclination has no slope


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a frame's pose says at ``time_s`` of the caller's clock: its horizontal position and its tilt.

    position_ecef_m (3,), metres; level (3, 2): north and east there, ECEF; tilt (2,): of the camera off the mission's
    pointing, in sigmas of it; by_lean (4, 2): how much farther north and east (metres) and tilted (sigmas) a pose is
    found for a unit of `OrbitEstimate.lean`; covariance (4, 4): of north, east and tilt, but for the lean."""

    time_s: float
    position_ecef_m: Array
    level: Array
    tilt: Array
    by_lean: Array
    covariance: Array

    def residual(self, position_ecef_m: Array, lean: Array) -> Array:
        """North, east and tilt (4,) as measured, less what a position and a lean would lead to."""
        off = np.concatenate([self.level.T @ (self.position_ecef_m - position_ecef_m), self.tilt])
        return np.asarray(off - self.by_lean @ lean)

    @property
    def slope(self) -> Array:
        """Derivative (4, 8) of what is measured by position, velocity and lean."""
        slope = np.zeros((4, 8))
        slope[:2, :3] = self.level.T
        slope[:, LEAN] = self.by_lean
        return slope


@dataclass(frozen=True, eq=False)
class OrbitEstimate:
    """state (6,): ECEF position and velocity as seen from the turning Earth; lean (2,): what lasts of the camera's
    pointing error, in sigmas of the mission's pointing; covariance (8, 8) of both, at ``time_s``."""

    time_s: float
    state: Array
    lean: Array
    covariance: Array


def eccentricity_sigma(largest: float) -> float:
    """1-sigma of either component of an eccentricity vector that may be as long as ``largest``: of one that is, in any
    direction, but no less than near-circular orbits have."""
    return float(max(_NEAR_CIRCULAR, largest / np.sqrt(2)))


def fit_orbit(
    start: OrbitEstimate,
    measurements: Sequence[Measurement],
    radius_m: tuple[float, float],
    inclination_rad: tuple[float, float],
    eccentricity: float,
    track_rad: tuple[float, float] | None = None,
) -> tuple[OrbitEstimate, float] | None:
    """The orbit through ``measurements``, at their last moment, and the weighted sum of its squared residuals; None
    when the iteration does not settle.

    start: a rough state at the last moment (its covariance is not used). radius_m: distance from the Earth's centre
    at that moment and its sigma; inclination_rad, track_rad: and theirs; eccentricity: its sigma; as `prior_residuals`
    takes them, which say what is known of the orbit beside the measurements. Gauss-Newton.
    """
    last_s = max(measurement.time_s for measurement in measurements)
    state, lean = propagate(start.state, last_s - start.time_s), start.lean
    for _ in range(_ITERATIONS):
        known, by_state = prior_residuals(state, radius_m, inclination_rad, eccentricity, track_rad)
        normal, gradient = np.eye(8), np.zeros(8)  # of the lean nothing is known but its sigma
        normal[:6, :6] = by_state.T @ by_state
        gradient[:6], gradient[LEAN] = -by_state.T @ known, -lean
        cost = float(known @ known + lean @ lean)
        for measurement in measurements:
            there, transition = propagate_with_transition(state, measurement.time_s - last_s)
            off = measurement.residual(there[:3], lean)
            slope = measurement.slope
            slope[:, :6] = slope[:, :6] @ transition
            weighed = np.linalg.solve(measurement.covariance, np.column_stack([slope, off]))
            normal += slope.T @ weighed[:, :8]
            gradient += slope.T @ weighed[:, 8]
            cost += float(off @ weighed[:, 8])
        try:
            covariance = np.linalg.inv(normal)
        except np.linalg.LinAlgError:
            return None
        step = covariance @ gradient
        state, lean = state + step[:6], lean + step[LEAN]
        if not (np.isfinite(state).all() and 6e6 < np.linalg.norm(state[:3]) < 1e8):
            return None
        if np.linalg.norm(step[:3]) < _SETTLED_M and np.linalg.norm(step[3:6]) < _SETTLED_M_S:
            return OrbitEstimate(last_s, state, lean, (covariance + covariance.T) / 2), cost
    return None


def circular_start(time_s: float, position_ecef_m: Array, way_inertial: Array) -> OrbitEstimate:
    """A circular orbit through a position, moving along a direction (3,) of the inertial axes of the moment."""
    radius = float(np.linalg.norm(position_ecef_m))
    up = position_ecef_m / radius
    along = way_inertial - up * (up @ way_inertial)
    velocity = along / np.linalg.norm(along) * np.sqrt(EARTH_GM_M3_S2 / radius)
    state = np.concatenate([position_ecef_m, earth_fixed_velocity(position_ecef_m, velocity)])
    return OrbitEstimate(time_s, state, np.zeros(2), np.full((8, 8), np.nan))


def prior_residuals(
    state: Array,
    radius_m: tuple[float, float],
    inclination_rad: tuple[float, float],
    eccentricity: float,
    track_rad: tuple[float, float] | None = None,
) -> tuple[Array, Array]:
    """Residuals (PRIORS,) in sigmas, and their derivatives (PRIORS, 6), of a state (6,) that should be nearly on a
    circle of a radius (value and sigma): its radius, its radial speed, which should be zero, and its speed along the
    track, which should be a circle's, to the `eccentricity_sigma` each; and of its inclination (value and sigma). One
    more where the azimuth of its inertial velocity is known (track_rad, value and sigma).
    """
    position = state[:3]
    velocity = inertial_velocity(position, state[3:])
    radius, speed = float(np.linalg.norm(position)), float(np.linalg.norm(velocity))
    up = position / radius
    circular = float(np.sqrt(EARTH_GM_M3_S2 / radius))
    momentum = np.cross(position, velocity)
    moment = float(np.linalg.norm(momentum))
    cosine = float(momentum[2] / moment)
    sine = max(float(np.sqrt(1 - min(1.0, cosine**2))), _LEAST_SINE)
    # In parts of the circular speed, e·sin(anomaly) is the radial speed, e·cos(anomaly) the excess along the track.
    sigma = eccentricity * circular
    residual = np.array(
        [
            (radius - radius_m[0]) / radius_m[1],
            (up @ velocity) / sigma,
            (speed - circular) / sigma,
            (np.arccos(np.clip(cosine, -1, 1)) - inclination_rad[0]) / inclination_rad[1],
        ]
    )
    by_momentum = -(np.array([0.0, 0.0, 1.0]) - cosine * momentum / moment) / (moment * sine)
    by_inertial = np.zeros((PRIORS if track_rad is None else PRIORS + 1, 6))
    by_inertial[0, :3] = up / radius_m[1]
    by_inertial[1, :3] = (velocity - up * (up @ velocity)) / radius / sigma
    by_inertial[1, 3:] = up / sigma
    by_inertial[2, :3] = up * circular / (2 * radius) / sigma
    by_inertial[2, 3:] = velocity / speed / sigma
    by_inertial[3, :3] = np.cross(velocity, by_momentum) / inclination_rad[1]
    by_inertial[3, 3:] = np.cross(by_momentum, position) / inclination_rad[1]
    if track_rad is not None:
        level, (north, east) = level_velocity(state)
        off = (np.arctan2(east, north) - track_rad[0] + np.pi) % (2 * np.pi) - np.pi
        residual = np.append(residual, off / track_rad[1])
        # By the position it hardly changes: north itself turns by a twentieth of a degree in five kilometres.
        by_inertial[4, 3:] = level @ (-east, north) / (north**2 + east**2) / track_rad[1]
    slope = by_inertial.copy()
    slope[:, :3] += by_inertial[:, 3:] @ SPIN_RAD_S  # the inertial velocity depends on the position
    return residual, slope
