"""Which way a picture's up can point on the ground, where the camera is held alike along its orbit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array


@dataclass(frozen=True)
class Headings:
    """The headings of a camera on an orbit. mount_deg: azimuth of the picture's up less that of the inertial velocity;
    inclination_deg: the range in which the orbit's lies.

    An orbit comes over a latitude northbound or southbound, so that the camera has one of two headings there.
    """

    mount_deg: float
    inclination_deg: tuple[float, float]

    def off_deg(self, heading_deg: NDArray, unit: Array) -> NDArray:
        """How far headings (K,) at nadir points, unit vectors (K, 3), are from the nearest that the camera can have
        there, in degrees, 0 to 180.

        Northbound, the azimuth's sine is the cosine of the inclination over that of the latitude; past the highest
        latitude of the orbit it is taken to fly due east or west (spherical trigonometry; Vallado, Fundamentals of
        Astrodynamics and Applications, on launch azimuths).
        """
        highest, lowest = np.cos(np.radians(self.inclination_deg))
        parallel = np.maximum(np.hypot(unit[:, 0], unit[:, 1]), 1e-9)
        first, last = (np.degrees(np.arcsin(np.clip(cosine / parallel, -1, 1))) for cosine in (lowest, highest))
        middle, half = (first + last) / 2, (last - first) / 2
        track_deg = heading_deg - self.mount_deg
        turn = [np.abs((track_deg - along + 180) % 360 - 180) for along in (middle, 180 - middle)]
        return np.maximum(np.minimum(*turn) - half, 0.0)
