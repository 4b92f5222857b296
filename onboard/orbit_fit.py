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
    propagate,
    propagate_with_transition,
)

# 1-sigma of the eccentricity vector of a working low orbit, J2's own short-period part (1e-3) included.
ECCENTRICITY_SIGMA = 2e-3
PRIORS = 4  # residuals of what is known without a measurement
_ITERATIONS = 8
_SETTLED_M = 1.0
_LEAST_SINE = 1e-9  # over the equator inclination has no slope


@dataclass(frozen=True, eq=False)
class Measurement:
    """A position, ECEF metres (3,), and its information matrix (3, 3), 1/m², at ``time_s`` of the caller's clock.

    The information may be singular: a frame says much of where the nadir is and little of the height."""

    time_s: float
    position_ecef_m: Array
    information: Array


@dataclass(frozen=True, eq=False)
class OrbitEstimate:
    """state (6,): ECEF position and velocity as seen from the turning Earth; covariance (6, 6), at ``time_s``."""

    time_s: float
    state: Array
    covariance: Array


def fit_orbit(
    start: OrbitEstimate,
    measurements: Sequence[Measurement],
    radius_m: tuple[float, float],
    inclination_rad: tuple[float, float],
) -> tuple[OrbitEstimate, float] | None:
    """The orbit through ``measurements``, at their last moment, and the weighted sum of its squared residuals; None
    when the iteration does not settle.

    start: a rough state at the last moment (its covariance is not used). radius_m: distance from the Earth's centre
    at that moment and its sigma; inclination_rad: and its. Gauss-Newton; beside the measurements, `prior_residuals` say
    what is known of the orbit anyway.
    """
    last_s = max(measurement.time_s for measurement in measurements)
    state = propagate(start.state, last_s - start.time_s)
    for _ in range(_ITERATIONS):
        residual, slope = prior_residuals(state, radius_m, inclination_rad)
        normal, gradient, cost = slope.T @ slope, slope.T @ residual, float(residual @ residual)
        for measurement in measurements:
            there, transition = propagate_with_transition(state, measurement.time_s - last_s)
            off = there[:3] - measurement.position_ecef_m
            by_state = transition[:3]
            normal += by_state.T @ measurement.information @ by_state
            gradient += by_state.T @ measurement.information @ off
            cost += float(off @ measurement.information @ off)
        try:
            covariance = np.linalg.inv(normal)
        except np.linalg.LinAlgError:
            return None
        step = covariance @ gradient
        state = state - step
        if not (np.isfinite(state).all() and 6e6 < np.linalg.norm(state[:3]) < 1e8):
            return None
        if np.linalg.norm(step[:3]) < _SETTLED_M:
            return OrbitEstimate(last_s, state, (covariance + covariance.T) / 2), cost
    return None


def circular_start(time_s: float, position_ecef_m: Array, way_inertial: Array) -> OrbitEstimate:
    """A circular orbit through a position, moving along a direction (3,) of the inertial axes of the moment."""
    radius = float(np.linalg.norm(position_ecef_m))
    up = position_ecef_m / radius
    along = way_inertial - up * (up @ way_inertial)
    velocity = along / np.linalg.norm(along) * np.sqrt(EARTH_GM_M3_S2 / radius)
    state = np.concatenate([position_ecef_m, earth_fixed_velocity(position_ecef_m, velocity)])
    return OrbitEstimate(time_s, state, np.full((6, 6), np.nan))


def prior_residuals(
    state: Array, radius_m: tuple[float, float], inclination_rad: tuple[float, float]
) -> tuple[Array, Array]:
    """Residuals (PRIORS,) in sigmas, and their derivatives (PRIORS, 6), of a state (6,) that should be nearly on a
    circle of a radius (value and sigma): its radius, its radial speed, which should be zero, and its speed along the
    track, which should be a circle's, to ECCENTRICITY_SIGMA each; and of its inclination (value and sigma).
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
    sigma = ECCENTRICITY_SIGMA * circular
    residual = np.array(
        [
            (radius - radius_m[0]) / radius_m[1],
            (up @ velocity) / sigma,
            (speed - circular) / sigma,
            (np.arccos(np.clip(cosine, -1, 1)) - inclination_rad[0]) / inclination_rad[1],
        ]
    )
    by_momentum = -(np.array([0.0, 0.0, 1.0]) - cosine * momentum / moment) / (moment * sine)
    by_inertial = np.zeros((PRIORS, 6))
    by_inertial[0, :3] = up / radius_m[1]
    by_inertial[1, :3] = (velocity - up * (up @ velocity)) / radius / sigma
    by_inertial[1, 3:] = up / sigma
    by_inertial[2, :3] = up * circular / (2 * radius) / sigma
    by_inertial[2, 3:] = velocity / speed / sigma
    by_inertial[3, :3] = np.cross(velocity, by_momentum) / inclination_rad[1]
    by_inertial[3, 3:] = np.cross(by_momentum, position) / inclination_rad[1]
    slope = by_inertial.copy()
    slope[:, :3] += by_inertial[:, 3:] @ SPIN_RAD_S  # the inertial velocity depends on the position
    return residual, slope
