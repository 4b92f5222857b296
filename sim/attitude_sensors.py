"""What a horizon sensor and a star tracker beside the camera tell the runtime with every frame."""

from dataclasses import dataclass

import cv2
import numpy as np

from onboard.fix import Attitude, Vertical
from onboard.geodesy import Array, ecef_from_ned
from sim.attitude import quat_wxyz
from sim.scenario import Shot

MISLED_SIGMA_RAD = np.radians(1.0)  # what a wrong attitude claims


@dataclass(frozen=True)
class AttitudeSensors:
    """vertical_sigma_deg: 1-sigma about each axis of a horizon sensor, attitude_sigma_deg: of a star tracker; None
    where there is none. Both err anew with every frame."""

    vertical_sigma_deg: float | None = None
    attitude_sigma_deg: float | None = None

    def vertical(self, shot: Shot) -> Vertical | None:
        """Where down is in the camera's axes, as measured."""
        if self.vertical_sigma_deg is None:
            return None
        down_cam = shot.ecef_from_cam.T @ ecef_from_ned(shot.lat_deg, shot.lon_deg)[:, 2]
        x, y, z = (_turn(shot, 4, self.vertical_sigma_deg) @ down_cam).tolist()
        return Vertical((x, y, z), float(np.radians(self.vertical_sigma_deg)))

    def attitude(self, shot: Shot) -> Attitude | None:
        """How the camera is turned, as measured; of a shot that is to be misled a wrong one (`Shot.misled_deg`)."""
        if shot.misled_deg is not None:
            wrong = cv2.Rodrigues(np.array([0.0, 0.0, np.radians(shot.misled_deg)]))[0]
            return Attitude(quat_wxyz(shot.ecef_from_cam @ np.asarray(wrong, np.float64)), MISLED_SIGMA_RAD)
        if self.attitude_sigma_deg is None:
            return None
        turned = shot.ecef_from_cam @ _turn(shot, 5, self.attitude_sigma_deg)
        return Attitude(quat_wxyz(turned), float(np.radians(self.attitude_sigma_deg)))


NO_SENSORS = AttitudeSensors()


def _turn(shot: Shot, stream: int, sigma_deg: float) -> Array:
    """A rotation (3, 3) by a random small angle about each of the camera's axes."""
    angles_rad = np.random.default_rng((shot.seed, stream, shot.index)).normal(0.0, np.radians(sigma_deg), 3)
    return np.asarray(cv2.Rodrigues(angles_rad)[0], np.float64)
