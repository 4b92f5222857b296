"""What is known of a frame before it is looked at: altitude, vertical, attitude, place, how the camera is mounted."""

from reprlib import repr as _short
from typing import Any

import numpy as np

from onboard.fix import Attitude, Prior, Status, Vertical
from onboard.geodesy import EARTH_RADIUS_M, ecef_from_ned
from onboard.ground_plane import MAX_INCIDENCE_DEG, Direction
from onboard.headings import Headings
from onboard.intake import Rejected
from onboard.mission import Mission
from onboard.pose import PoseKnowledge, matrix_from_quat

# Attitude and place together give the vertical; where they leave it more open than this, the mission's is taken.
_VERTICAL_SIGMA_RAD = np.radians(1.0)
_ALTITUDE_M = 50e3, 1e8  # what can be a satellite's
MOST_HEADING_DEG = 360.0  # either way: what is more is no heading
# Known better than the least, nothing is; known worse than the most, a pointing is none to lay a frame out for.
_LEAST_SIGMA_M, _SIGMA_RAD = 1.0, (1e-6, float(np.radians(5.0)))


def knowledge_of(
    mission: Mission,
    altitude_m: tuple[float, float] | None = None,
    attitude: Attitude | None = None,
    prior: Prior | None = None,
    vertical: Vertical | None = None,
    mount_heading_deg: float | None = None,
) -> PoseKnowledge:
    """What the caller and the mission know together. Raises Rejected (BAD_FRAME), naming what makes no sense."""
    low, high = mission.orbit.altitude_m
    value, sigma = (low + high) / 2, max((high - low) / 2, 1e3)
    if altitude_m is not None:
        value, sigma = _numbers("altitude_m", altitude_m, 2, "metres and their 1-sigma, as in (405e3, 12e3)")
        low, high = _ALTITUDE_M
        _require(low <= value <= high, f"altitude_m is {value:g} m: give {low / 1e3:g} to {high / 1e3:g} km, in metres")
        _sigma("sigma of altitude_m", sigma, _LEAST_SIGMA_M)
    if attitude is not None:
        _kind("attitude", attitude, Attitude)
        _direction("attitude.quat_ecef_from_cam_wxyz", attitude.quat_ecef_from_cam_wxyz, 4)
        _sigma("attitude.sigma_rad", attitude.sigma_rad, *_SIGMA_RAD)
    if vertical is not None:
        _kind("vertical", vertical, Vertical)
        _direction("vertical.down_cam", vertical.down_cam, 3)
        _sigma("vertical.sigma_rad", vertical.sigma_rad, *_SIGMA_RAD)
    if prior is not None:
        _kind("prior", prior, Prior)
        lat, lon = _numbers("place of prior", (prior.lat_deg, prior.lon_deg), 2, "degrees")
        _require(abs(lat) <= 90, f"prior.lat_deg is {lat:g}: give -90 to 90 degrees")
        _require(abs(lon) <= 360, f"prior.lon_deg is {lon:g}: give -180 to 180 degrees")
        _sigma("prior.sigma_m", prior.sigma_m, _LEAST_SIGMA_M)
    headings = None
    if mount_heading_deg is not None:
        (mount,) = _numbers("mount_heading_deg", [mount_heading_deg], 1, "degrees")
        _require(abs(mount) <= MOST_HEADING_DEG, f"mount_heading_deg is {mount:g}: give -360 to 360 degrees")
        headings = Headings(mount, mission.orbit.inclination_deg)
    # A told attitude replaces the mission's pointing; a vertical that was told as well is a measurement of its own.
    pointing_sigma_rad = np.inf if attitude is not None else float(np.radians(mission.pointing_sigma_deg))
    down_cam = mission.down_cam
    if vertical is not None:
        down_cam, pointing_sigma_rad = _unit(vertical.down_cam), float(vertical.sigma_rad)
    elif attitude is not None and prior is not None:
        down_cam = _seen_from(attitude, prior) or down_cam
    known = PoseKnowledge(value, sigma, pointing_sigma_rad, attitude, prior, down_cam, headings)
    if not known.plane.usable:
        meets = f"meets the ground {np.degrees(known.plane.incidence_rad):.0f} degrees off its vertical"
        raise Rejected(
            Status.BAD_FRAME,
            f"{np.degrees(known.plane.off_nadir_rad):.0f} degrees off nadir the camera's axis "
            f"{'passes the Earth by' if np.isnan(known.plane.incidence_rad) else meets}; less than "
            f"{MAX_INCIDENCE_DEG:g} is asked for",
        )
    return known


def _kind(name: str, told: Any, kind: type) -> None:
    _require(isinstance(told, kind), f"{name} is a {type(told).__name__}: give an onboard.{kind.__name__}")


def _direction(name: str, told: Any, count: int) -> None:
    largest = max(map(abs, _numbers(name, told, count, f"{count} numbers")))
    _require(largest > 0, f"{name} is all zeros: it points nowhere")
    # The squares of others are none, or infinite.
    _require(1e-6 < largest < 1e6, f"{name} is {_short(told)}: give a unit vector")


def _sigma(name: str, told: Any, least: float, most: float = np.inf) -> None:
    (value,) = _numbers(name, [told], 1, "a number")
    _require(value >= least, f"{name} is {value:g}: give {least:g} or more")
    _require(value <= most, f"{name} is {value:g}: give {most:.3g} or less, or leave out what is known no better")


def _numbers(name: str, told: Any, count: int, wanted: str) -> list[float]:
    """So many finite numbers. Raises Rejected."""
    try:
        numbers = [np.nan if isinstance(number, (str, bytes)) else float(number) for number in told]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    _require(len(numbers) == count and bool(np.isfinite(numbers).all()), f"{name} is {_short(told)}: give {wanted}")
    return numbers


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Rejected(Status.BAD_FRAME, otherwise)


def _seen_from(attitude: Attitude, prior: Prior) -> Direction | None:
    """Down at a place in the axes of a camera turned so; None where the two leave it open."""
    if np.hypot(attitude.sigma_rad, prior.sigma_m / EARTH_RADIUS_M) > _VERTICAL_SIGMA_RAD:
        return None
    ecef_from_cam = matrix_from_quat(np.array(attitude.quat_ecef_from_cam_wxyz))
    return _unit(ecef_from_cam.T @ ecef_from_ned(prior.lat_deg, prior.lon_deg)[:, 2])


def _unit(direction: np.ndarray | Direction) -> Direction:
    x, y, z = (np.asarray(direction, np.float64) / np.linalg.norm(direction)).tolist()
    return x, y, z
