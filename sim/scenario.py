"""What a campaign flies: every frame's time, place, pointing, Sun and look, all following from one seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array, ecef_from_ned, geodetic_from_ecef, heading_deg_of
from onboard.mission import Mission
from sim.attitude import draw_pointing
from sim.earth_frames import sun_ecef, utc_times
from sim.errors import SimError
from sim.look import Look, draw_look
from sim.orbit import Orbit, draw_orbit
from sim.sgp4_orbit import Sgp4Orbit

# Start of a campaign that names none and has no TLE: northern summer, as in the Blue Marble most people have.
DEFAULT_START = np.datetime64("2026-07-01T00:00:00", "us")


@dataclass(frozen=True, eq=False)
class Shot:
    """One exposure before it is rendered.

    position_ecef_m (3,); ecef_from_cam (3, 3); sun_ecef (3,) unit; lat_deg, lon_deg, altitude_m: geodetic nadir
    point; heading_deg: azimuth of the picture's up direction; sun_elevation_deg: at the nadir point.
    """

    index: int
    time: np.datetime64
    position_ecef_m: Array
    ecef_from_cam: Array
    sun_ecef: Array
    lat_deg: float
    lon_deg: float
    altitude_m: float
    heading_deg: float
    sun_elevation_deg: float
    look: Look


@dataclass(frozen=True, eq=False)
class Scenario:
    """A mission flown once: ``orbit``, UTC ``times`` (N,) of the frames, ``seed``, and the cloud cover to hold
    (None: drawn for every frame)."""

    mission: Mission
    orbit: Orbit
    times: NDArray[np.datetime64]
    seed: int
    cloud_cover: float | None = None

    def shots(self) -> list[Shot]:
        """Every frame's circumstances. Frame i depends on the seed and i only, not on how many there are."""
        positions, velocities = self.orbit.states(self.times)
        suns = sun_ecef(self.times)
        pointing = draw_pointing(self.mission.pointing_sigma_deg, np.random.default_rng((self.seed, 1)))
        shots = []
        for index, (time, position, velocity, sun) in enumerate(zip(self.times, positions, velocities, suns)):
            rng = np.random.default_rng((self.seed, 2, index))
            lat, lon, altitude = (float(value) for value in geodetic_from_ecef(position))
            ecef_from_cam = pointing.ecef_from_cam(position, velocity, rng)
            up = -ecef_from_ned(lat, lon)[:, 2]
            shots.append(
                Shot(
                    index, time, position, ecef_from_cam, sun, lat, lon, altitude,
                    heading_deg_of(ecef_from_cam, lat, lon), float(np.degrees(np.arcsin(np.clip(up @ sun, -1, 1)))),
                    draw_look(rng, lat, lon, self.cloud_cover),
                )
            )  # fmt: skip
        return shots

    def noise(self, index: int) -> np.random.Generator:
        """The sensor noise of a frame."""
        return np.random.default_rng((self.seed, 3, index))


def draw_scenario(
    mission: Mission,
    frames: int,
    every_s: float,
    seed: int,
    start: np.datetime64 | None = None,
    cloud_cover: float | None = None,
) -> Scenario:
    """``frames`` frames at a steady beat along one orbit: the mission's TLE, or one drawn from its ranges."""
    if frames < 1 or not every_s > 0:
        raise SimError(f"{frames} frames every {every_s} s is no campaign: both must be positive")
    if cloud_cover is not None and not 0 <= cloud_cover <= 1:
        raise SimError(f"cloud cover {cloud_cover} is outside 0 to 1")
    orbit = draw_orbit(mission.orbit, DEFAULT_START if start is None else start, np.random.default_rng((seed, 0)))
    if start is None:
        start = orbit.epoch if isinstance(orbit, Sgp4Orbit) else DEFAULT_START
    return Scenario(mission, orbit, utc_times(start, np.arange(frames) * every_s), seed, cloud_cover)
