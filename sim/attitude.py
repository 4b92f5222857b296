"""Where the camera points: down, along the track, and a little off."""

from dataclasses import dataclass

import cv2
import numpy as np

from onboard.geodesy import Array, ecef_from_nadir_camera, ecef_from_ned, geodetic_from_ecef


@dataclass(frozen=True)
class NadirPointing:
    """A camera held on the geodetic nadir, its picture's up direction along the velocity turned by ``camera_yaw_deg``.

    bias_rad: constant rotation vector (3,) in camera axes (roll, pitch, yaw); jitter_sigma_rad: per axis, drawn
    anew for every frame.
    """

    camera_yaw_deg: float
    bias_rad: tuple[float, float, float]
    jitter_sigma_rad: float

    def ecef_from_cam(self, position_ecef_m: Array, velocity_ecef_m_s: Array, rng: np.random.Generator) -> Array:
        """Rotation (3, 3) from camera axes to ECEF at one state."""
        lat, lon, _ = geodetic_from_ecef(position_ecef_m)
        north, east, _ = ecef_from_ned(lat, lon).T @ velocity_ecef_m_s
        heading_deg = float(np.degrees(np.arctan2(east, north))) + self.camera_yaw_deg
        error_rad = np.array(self.bias_rad) + rng.normal(0.0, self.jitter_sigma_rad, 3)
        steady = ecef_from_nadir_camera(float(lat), float(lon), heading_deg)
        return steady @ cv2.Rodrigues(error_rad)[0]


def draw_pointing(pointing_sigma_deg: float, rng: np.random.Generator) -> NadirPointing:
    """Pointing whose bias and jitter share the mission's sigma evenly (in variance); any camera yaw."""
    sigma_rad = np.radians(pointing_sigma_deg) / np.sqrt(2)
    bias = rng.normal(0.0, sigma_rad, 3)
    return NadirPointing(float(rng.uniform(0, 360)), (float(bias[0]), float(bias[1]), float(bias[2])), float(sigma_rad))


def quat_wxyz(rotation: Array) -> tuple[float, float, float, float]:
    """Unit quaternion (w >= 0) of a rotation matrix (3, 3)."""
    vector = cv2.Rodrigues(rotation)[0].ravel()
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle > 0 else vector
    x, y, z = (np.sin(angle / 2) * axis).tolist()
    return float(np.cos(angle / 2)), x, y, z
