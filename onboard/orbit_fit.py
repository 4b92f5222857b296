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
_ITERATIONS = 8
_SETTLED_M = 1.0


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
    start: OrbitEstimate, measurements: Sequence[Measurement], radius_m: tuple[float, float]
) -> tuple[OrbitEstimate, float] | None:
    """The orbit through ``measurements``, at their last moment, and the weighted sum of its squared residuals; None
    when the iteration does not settle.

    start: a rough state at the last moment (its covariance is not used). radius_m: distance from the Earth's centre
    at that moment and its sigma. Gauss-Newton; beside the measurements, three residuals say that the orbit is nearly a
    circle of that radius: radial speed zero, speed along the track circular, to ECCENTRICITY_SIGMA each.
    """
    last_s = max(measurement.time_s for measurement in measurements)
    state = propagate(start.state, last_s - start.time_s)
    for _ in range(_ITERATIONS):
        residual, slope = circle_residuals(state, radius_m)
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


def circle_residuals(state: Array, radius_m: tuple[float, float]) -> tuple[Array, Array]:
    """Residuals (3,) in sigmas of radius, radial speed and speed along the track, and their derivatives (3, 6)."""
    position = state[:3]
    velocity = inertial_velocity(position, state[3:])
    radius, speed = float(np.linalg.norm(position)), float(np.linalg.norm(velocity))
    up = position / radius
    circular = float(np.sqrt(EARTH_GM_M3_S2 / radius))
    # In parts of the circular speed, e·sin(anomaly) is the radial speed, e·cos(anomaly) the excess along the track.
    sigma = ECCENTRICITY_SIGMA * circular
    residual = np.array([(radius - radius_m[0]) / radius_m[1], (up @ velocity) / sigma, (speed - circular) / sigma])
    by_inertial = np.zeros((3, 6))
    by_inertial[0, :3] = up / radius_m[1]
    by_inertial[1, :3] = (velocity - up * (up @ velocity)) / radius / sigma
    by_inertial[1, 3:] = up / sigma
    by_inertial[2, :3] = up * circular / (2 * radius) / sigma
    by_inertial[2, 3:] = velocity / speed / sigma
    slope = by_inertial.copy()
    slope[:, :3] += by_inertial[:, 3:] @ SPIN_RAD_S  # the inertial velocity depends on the position
    return residual, slope
