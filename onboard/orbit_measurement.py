"""From what a frame shows to what it says of the orbit."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onboard.geodesy import Array, ecef_from_geodetic, ecef_from_ned, geodetic_from_ecef, latlon_from_unit
from onboard.ground_plane import level_from_cam
from onboard.hypothesis import Hypothesis
from onboard.mission import Orbit
from onboard.orbit_fit import PRIORS, Measurement, OrbitEstimate, circular_start, eccentricity_sigma, fit_orbit
from onboard.orbit_places import Place
from onboard.orbit_vote import Track
from onboard.pose import PoseKnowledge

# An orbit of one radius rises and falls above the ellipsoid, and a told altitude is that of the orbit more often than
# that of the moment.
_ALTITUDE_SWING_M = 10e3
# 1-sigma of an inclination beside the range that a mission names: 0.02 degrees are J2's, the rest is for missions that
# name it not quite right. With 0.1 one that was wrong by a degree led to wrong orbits, with 0.3 to none
# (docs/decisions.md).
_INCLINATION_SIGMA_RAD = np.radians(0.3)
# Of a camera's heading along the track as somebody tells it. One held along the track on the ground, which the turning
# Earth bends, swings by 4 degrees to either side of the inertial one that the filter flies.
MOUNT_SIGMA_DEG = 3.0
# Frames 2 seconds apart do not yet err alike, frames 1 second apart do (docs/decisions.md).
_ANEW_S = 4.0
_LEAST_VARIANCE = (1.0, 1.0, 1e-6, 1e-6)  # of metres and sigmas: what keeps a matrix invertible
# A fit whose weighted squared residuals have a chance below one in ten thousand is no orbit.
_NORMAL_QUANTILE = 3.72


def measurement_of(hypothesis: Hypothesis, known: PoseKnowledge, time_s: float) -> Measurement:
    """The horizontal position and the tilt of a pose that was fitted with what was ``known``. Its height is left out:
    it is mostly the altitude that the caller told, which is the same with every frame and may count only once.

    So may the tilt, of which was told that it is zero to one sigma. Of a pose with north, east and tilt y (tilts in
    sigmas), their covariance C and its columns C_t of the tilts, the telling has a part of C_t (0 - true tilt) in the
    error of y; what is left is the landmarks' and has the covariance C - C_t C_tᵀ. A mission does not say how much of
    its pointing error lasts: all of it may (the lean), and as much may pass with every frame.
    """
    pose = hypothesis.pose
    assert pose is not None, "a place without a pose is no place"
    lat, lon, _ = (float(value) for value in geodetic_from_ecef(pose.position_ecef_m))
    axes = ecef_from_ned(lat, lon)
    tilt_axes = level_from_cam(np.array(known.down_cam))[:2]
    down_cam = pose.ecef_from_cam.T @ axes[:, 2]
    # Moving north turns the vertical under the camera backwards; a camera turned by w sees it move by down × w.
    by_pose = np.zeros((4, 6))
    by_pose[:2, :2] = np.eye(2)
    by_pose[2:, :2] = -tilt_axes @ pose.ecef_from_cam.T @ axes[:, :2] / np.linalg.norm(pose.position_ecef_m)
    by_pose[2:, 3:] = tilt_axes @ np.cross(np.eye(3), down_cam)
    by_pose[2:] /= known.pointing_sigma_rad
    spread = by_pose @ pose.covariance @ by_pose.T
    # A covariance that was inflated for its residuals may leave more of the tilt open than was told.
    drawn = spread[:, 2:] / max(1.0, float(np.linalg.eigvalsh(spread[2:, 2:])[-1]))
    by_lean = np.concatenate([np.zeros((2, 2)), np.eye(2)]) - drawn
    noise = spread - drawn @ spread[2:] + by_lean @ by_lean.T + np.diag(_LEAST_VARIANCE)
    tilt = tilt_axes @ down_cam / known.pointing_sigma_rad
    return Measurement(time_s, pose.position_ecef_m, axes[:, :2], tilt, by_lean, (noise + noise.T) / 2)


def seen_anew(measurement: Measurement, elapsed_s: float) -> Measurement:
    """A measurement ``elapsed_s`` after another one that was used: frames that follow at once err alike on the ground
    that they share, so that however many there are they count as one every _ANEW_S."""
    return replace(measurement, covariance=measurement.covariance * max(1.0, _ANEW_S / elapsed_s))


def orbit_through(track: Track, known: PoseKnowledge, orbit: Orbit) -> OrbitEstimate | None:
    """The orbit that the members of a track lie on, at the last one's moment; None when they do not.

    known: what every frame was told; orbit: what the mission tells of it.
    """
    last = track.members[-1][1]
    return _orbit_along(np.cross(track.normal, last.unit), track.members, known, orbit)


def orbit_of_one(
    time_s: float, place: Place, mount_deg: float, known: PoseKnowledge, orbit: Orbit
) -> OrbitEstimate | None:
    """The orbit of a satellite at one place whose camera is mounted so along the track, `MOUNT_SIGMA_DEG` give or take;
    None where that and the inclination contradict one another. As in `orbit_through`."""
    track_rad = np.radians(place.heading_deg - mount_deg)
    lat, lon = latlon_from_unit(place.unit)
    way = ecef_from_ned(float(lat), float(lon))[:, :2] @ (np.cos(track_rad), np.sin(track_rad))
    towards = float(track_rad), float(np.radians(MOUNT_SIGMA_DEG))
    return _orbit_along(way, ((time_s, place),), known, orbit, towards)


def _orbit_along(
    way: Array,
    members: Sequence[tuple[float, Place]],
    known: PoseKnowledge,
    orbit: Orbit,
    track_rad: tuple[float, float] | None = None,
) -> OrbitEstimate | None:
    """The orbit of places in order of time, the last of which is passed in a direction (3,) of the inertial axes of its
    moment, roughly."""
    time_s, last = members[-1]
    pose = last.hypothesis.pose
    assert pose is not None
    lat, lon, _ = geodetic_from_ecef(pose.position_ecef_m)
    position = ecef_from_geodetic(lat, lon, known.altitude_m)
    measurements = [measurement_of(place.hypothesis, known, moment) for moment, place in members]
    radius = float(np.linalg.norm(position)), float(np.hypot(known.altitude_sigma_m, _ALTITUDE_SWING_M))
    start = circular_start(time_s, position, way)
    inclination, eccentricity = _inclination_rad(orbit.inclination_deg), eccentricity_sigma(orbit.eccentricity)
    fitted = fit_orbit(start, measurements, radius, inclination, eccentricity, track_rad)
    if fitted is None:
        return None
    estimate, cost = fitted
    # Four numbers a measurement and two that are known of the lean, for eight unknowns.
    priors = PRIORS if track_rad is None else PRIORS + 1
    return estimate if cost < _chi2_limit(4 * len(measurements) + priors + 2 - 8) else None


def _inclination_rad(span_deg: tuple[float, float]) -> tuple[float, float]:
    """The middle of a range and the 1-sigma of an inclination drawn from it."""
    low, high = np.radians(span_deg)
    return float((low + high) / 2), float(np.hypot((high - low) / np.sqrt(12), _INCLINATION_SIGMA_RAD))


def _chi2_limit(freedom: int) -> float:
    """The quantile of chi-squared at 0.9999 (Wilson and Hilferty 1931; within 2 % from one degree of freedom on)."""
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + _NORMAL_QUANTILE * np.sqrt(spread)) ** 3)
