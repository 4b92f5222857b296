"""From what a frame shows to what it says of the orbit."""

import numpy as np

from onboard.geodesy import ecef_from_geodetic, ecef_from_ned, geodetic_from_ecef
from onboard.hypothesis import Hypothesis
from onboard.orbit_fit import PRIORS, Measurement, OrbitEstimate, circular_start, fit_orbit
from onboard.orbit_vote import Track

# An orbit of one radius rises and falls above the ellipsoid, and a told altitude is that of the orbit more often than
# that of the moment.
_ALTITUDE_SWING_M = 10e3
# 1-sigma of an inclination beside the range that a mission names: 0.02 degrees are J2's, the rest is for missions that
# name it not quite right. With 0.1 one that was wrong by a degree led to wrong orbits, with 0.3 to none
# (docs/decisions.md).
_INCLINATION_SIGMA_RAD = np.radians(0.3)
# A fit whose weighted squared residuals have a chance below one in ten thousand is no orbit.
_NORMAL_QUANTILE = 3.72


def measurement_of(hypothesis: Hypothesis, time_s: float) -> Measurement:
    """The horizontal position of a pose. Its height is left out: it is mostly the altitude that the caller told, which
    is the same with every frame and may count only once."""
    pose = hypothesis.pose
    assert pose is not None, "a place without a pose is no place"
    lat, lon, _ = (float(value) for value in geodetic_from_ecef(pose.position_ecef_m))
    level = ecef_from_ned(lat, lon)[:, :2]
    return Measurement(time_s, pose.position_ecef_m, level @ np.linalg.inv(pose.covariance[:2, :2]) @ level.T)


def orbit_through(
    track: Track, altitude_m: tuple[float, float], inclination_deg: tuple[float, float]
) -> OrbitEstimate | None:
    """The orbit that the members of a track lie on, at the last one's moment; None when they do not.

    altitude_m: above the ellipsoid and its sigma; inclination_deg: the range that the mission names.
    """
    time_s, last = track.members[-1]
    pose = last.hypothesis.pose
    assert pose is not None
    lat, lon, _ = geodetic_from_ecef(pose.position_ecef_m)
    position = ecef_from_geodetic(lat, lon, altitude_m[0])
    start = circular_start(time_s, position, np.cross(track.normal, position))
    measurements = [measurement_of(place.hypothesis, moment) for moment, place in track.members]
    radius = float(np.linalg.norm(position)), float(np.hypot(altitude_m[1], _ALTITUDE_SWING_M))
    fitted = fit_orbit(start, measurements, radius, _inclination_rad(inclination_deg))
    if fitted is None:
        return None
    estimate, cost = fitted
    return estimate if cost < _chi2_limit(2 * len(measurements) + PRIORS - 6) else None


def _inclination_rad(span_deg: tuple[float, float]) -> tuple[float, float]:
    """The middle of a range and the 1-sigma of an inclination drawn from it."""
    low, high = np.radians(span_deg)
    return float((low + high) / 2), float(np.hypot((high - low) / np.sqrt(12), _INCLINATION_SIGMA_RAD))


def _chi2_limit(freedom: int) -> float:
    """The quantile of chi-squared at 0.9999 (Wilson and Hilferty 1931; within 2 % from one degree of freedom on)."""
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + _NORMAL_QUANTILE * np.sqrt(spread)) ** 3)
