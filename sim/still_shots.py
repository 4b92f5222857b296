"""Single frames that belong to no orbit: over a place, at a time, nadir pointing with the mission's errors."""

import cv2
import numpy as np

from onboard.geodesy import Array, ecef_from_geodetic, ecef_from_nadir_camera
from onboard.mission import Mission


def pose_over(
    mission: Mission,
    lat_deg: float,
    lon_deg: float,
    rng: np.random.Generator,
    tilt_deg: float = 0.0,
    altitude_factor: float = 1.0,
) -> tuple[Array, Array]:
    """Position (3,) and ecef_from_cam (3, 3) over a place: any altitude of the mission, times
    ``altitude_factor``, any heading, pointing off by the mission's sigma about each axis, and turned up by ``tilt_deg``
    towards the top of the picture."""
    altitude_m = rng.uniform(*mission.orbit.altitude_m) * altitude_factor
    level = ecef_from_nadir_camera(lat_deg, lon_deg, float(rng.uniform(0, 360)))
    error_rad = rng.normal(0.0, np.radians(mission.pointing_sigma_deg), 3)
    tilted = cv2.Rodrigues(np.array([np.radians(tilt_deg), 0.0, 0.0]))[0]
    rotation = level @ np.asarray(tilted, np.float64) @ np.asarray(cv2.Rodrigues(error_rad)[0], np.float64)
    return ecef_from_geodetic(lat_deg, lon_deg, altitude_m), rotation
