"""Single frames that belong to no orbit: over a place or towards it, at a time, with the mission's pointing errors."""

import cv2
import numpy as np

from onboard.geodesy import Array, ecef_from_geodetic, ecef_from_nadir_camera
from onboard.ground_plane import GroundPlane
from onboard.mission import Mission


def pose_over(
    mission: Mission,
    lat_deg: float,
    lon_deg: float,
    rng: np.random.Generator,
    tilt_deg: float = 0.0,
    altitude_factor: float = 1.0,
) -> tuple[Array, Array]:
    """Position (3,) and ecef_from_cam (3, 3) over a place: any altitude of the mission, times ``altitude_factor``, any
    heading, pointing off by the mission's sigma about each axis, and turned up by ``tilt_deg`` towards the top of the
    picture."""
    altitude_m, level, error = _drawn(mission, lat_deg, lon_deg, rng, altitude_factor)
    tilted = np.asarray(cv2.Rodrigues(np.array([np.radians(tilt_deg), 0.0, 0.0]))[0], np.float64)
    return ecef_from_geodetic(lat_deg, lon_deg, altitude_m), level @ tilted @ error


def pose_towards(
    mission: Mission, lat_deg: float, lon_deg: float, rng: np.random.Generator, altitude_factor: float = 1.0
) -> tuple[Array, Array]:
    """As `pose_over`, of the camera as the mission mounts it, its axis (but for the pointing error) on the place.

    The way from the place back to the camera is that of the mean sphere: 40 degrees off nadir from 405 km the altitude
    is off by up to 0.06 km and the tilt by 0.02 degrees.
    """
    altitude_m, level, error = _drawn(mission, lat_deg, lon_deg, rng, altitude_factor)
    plane = GroundPlane(altitude_m, mission.down_cam)
    return ecef_from_geodetic(lat_deg, lon_deg) + level @ plane.camera_m, level @ plane.level_from_cam @ error


def _drawn(
    mission: Mission, lat_deg: float, lon_deg: float, rng: np.random.Generator, altitude_factor: float
) -> tuple[float, Array, Array]:
    """Altitude, level axes at the place (3, 3) and the error of pointing (3, 3) in camera axes."""
    altitude_m = float(rng.uniform(*mission.orbit.altitude_m)) * altitude_factor
    level = ecef_from_nadir_camera(lat_deg, lon_deg, float(rng.uniform(0, 360)))
    error_rad = rng.normal(0.0, np.radians(mission.pointing_sigma_deg), 3)
    return altitude_m, level, np.asarray(cv2.Rodrigues(error_rad)[0], np.float64)
