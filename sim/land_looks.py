"""Looks at places all over the land, several at each: what a frame stream draws for training."""

from dataclasses import dataclass

import cv2
import numpy as np

from onboard.geodesy import Array, destination, ecef_from_geodetic, ecef_from_nadir_camera, ecef_from_ned
from sim.batch import Exposure
from sim.errors import SimError
from sim.look import draw_look
from sim.places import Sea

_DRAWS = 1000
_MASK_GSD_M = 4e3


@dataclass(frozen=True)
class LandLooks:
    """Places uniform by area over the land of a latitude band, ``looks`` successive frames at each, every one with its
    own weather, Sun, camera heading, altitude and pointing error, and up to ``aside_m`` beside the place.

    altitude_m: range; pointing_sigma_deg: 1-sigma an axis; sun_elevation_deg: range, uniform in its sine.
    """

    altitude_m: tuple[float, float]
    latitude_band_deg: tuple[float, float] = (-60.0, 70.0)
    pointing_sigma_deg: float = 1.0
    sun_elevation_deg: tuple[float, float] = (10.0, 90.0)
    looks: int = 1
    aside_m: float = 0.0

    def __call__(self, seed: int, index: int, ocean: Sea) -> Exposure:
        """Exposure ``index`` (`sim.batch.Draw`). Raises SimError where the band has no land."""
        lat, lon = self._place(np.random.default_rng((seed, 2, index // self.looks)), ocean)
        rng = np.random.default_rng((seed, 0, index))
        if self.aside_m > 0:
            way = self.aside_m * np.sqrt(rng.random())
            lat, lon = (float(value) for value in destination(lat, lon, rng.uniform(0, 360), way))
        turn = cv2.Rodrigues(rng.normal(0.0, np.radians(self.pointing_sigma_deg), 3))[0]
        rotation = ecef_from_nadir_camera(lat, lon, float(rng.uniform(0, 360))) @ np.asarray(turn, np.float64)
        position = ecef_from_geodetic(lat, lon, rng.uniform(*self.altitude_m))
        return Exposure(position, rotation, self._sun(rng, lat, lon), draw_look(rng, lat, lon))

    def _place(self, rng: np.random.Generator, ocean: Sea) -> tuple[float, float]:
        low, high = np.sin(np.radians(self.latitude_band_deg))
        for _ in range(_DRAWS):
            lat, lon = np.degrees(np.arcsin(rng.uniform(low, high, (1, 1)))), rng.uniform(-180, 180, (1, 1))
            if ocean.share(lat, lon, _MASK_GSD_M)[0, 0] < 0.5:
                return float(lat[0, 0]), float(lon[0, 0])
        raise SimError(
            f"no land between {self.latitude_band_deg[0]:g} and {self.latitude_band_deg[1]:g} degrees latitude"
        )

    def _sun(self, rng: np.random.Generator, lat_deg: float, lon_deg: float) -> Array:
        """Direction to a Sun of any azimuth, (3,) unit, ECEF."""
        sine = rng.uniform(*np.sin(np.radians(self.sun_elevation_deg)))
        azimuth, level = rng.uniform(0, 2 * np.pi), np.sqrt(1 - sine**2)
        return ecef_from_ned(lat_deg, lon_deg) @ np.array([level * np.cos(azimuth), level * np.sin(azimuth), -sine])
