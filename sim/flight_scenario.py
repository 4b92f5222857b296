"""Scenarios ``orbit`` and ``orbits``: frames at a steady beat along one orbit, or along many random ones."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array, geodetic_from_ecef
from onboard.mission import Mission
from onboard.orbit_motion import EARTH_GM_M3_S2
from sim.attitude import turns_rad_s
from sim.earth_frames import sun_ecef, utc_times
from sim.errors import SimError
from sim.flight_check import require_earth_in_view, require_mission_altitude
from sim.look import draw_look
from sim.orbit import draw_orbit, elements_epoch
from sim.pointing import Pointing
from sim.scenario import DEFAULT_START, Flight, Shot, shot_at, utc_text
from sim.season import season_of
from sim.sensor import track_deg

YEAR_S = 365.25 * 86400
# Random starts with a TLE stay where its elements are good.
TLE_SPREAD_S = 7 * 86400.0
NADIR = Pointing()
# As far as weather reaches along a flight. How cloudy it is over land in two of the photographs of docs/results.md
# correlates by 0.73, 0.48, 0.25 and 0.08 when they are 33, 66, 99 and 132 s apart: as stretches of 130 s would.
_WEATHER_M = 1000e3


@dataclass(frozen=True, eq=False)
class FlightScenario:
    """A mission flown along ``flights``; cloud_cover: held in every frame (None: drawn)."""

    name: str
    description: str
    mission: Mission
    seed: int
    flights: tuple[Flight, ...]
    cloud_cover: float | None = None

    def settings(self) -> dict[str, Any]:
        return {
            "cloud_cover": self.cloud_cover,
            "flights": [
                {
                    "first_position_ecef_m": np.round(flight.orbit.states(flight.times[:1])[0][0], 1).tolist(),
                    "attitude": flight.attitude.as_dict(),
                    "times_utc": [utc_text(time) for time in flight.times],
                }
                for flight in self.flights
            ],
        }

    def shots(self) -> list[Shot]:
        shots: list[Shot] = []
        for number, flight in enumerate(self.flights):
            positions, velocities = flight.orbit.states(flight.times)
            rotations = flight.attitude.ecef_from_cam(flight.times, positions, velocities)
            require_mission_altitude(self.mission, positions)
            require_earth_in_view(self.mission.camera, positions, rotations)
            lats, lons, _ = geodetic_from_ecef(positions)
            first, suns = len(shots), sun_ecef(flight.times)
            turns = turns_rad_s(flight.attitude, flight.orbit, flight.times).tolist()
            for i, start in enumerate(_weather_starts(flight.times, positions[0], velocities[0])):
                rng = np.random.default_rng((self.seed, 2, first + start))
                season = season_of(flight.times[start])
                look = draw_look(rng, float(lats[start]), float(lons[start]), self.cloud_cover, season)
                look = replace(
                    look, track_deg=track_deg(rotations[i], velocities[i]), turn_rad_s=tuple(turns[i])
                )  # fmt: skip
                shots.append(
                    shot_at(
                        len(shots), flight.times[i], positions[i], rotations[i], suns[i], look,
                        seed=self.seed, group=self.name, flight=number,
                    )
                )  # fmt: skip
        return shots


def _weather_starts(times: NDArray[np.datetime64], position_ecef_m: Array, velocity_ecef_m_s: Array) -> list[int]:
    """For every frame of a flight the frame with which its weather began."""
    ground_m_s = np.linalg.norm(velocity_ecef_m_s) * EARTH_RADIUS_M / np.linalg.norm(position_ecef_m)
    stretch = ((times - times[0]) / np.timedelta64(1, "s") * ground_m_s / _WEATHER_M).astype(int)
    starts: list[int] = np.searchsorted(stretch, stretch).tolist()
    return starts


def draw_scenario(
    mission: Mission,
    frames: int,
    every_s: float,
    seed: int,
    start: np.datetime64 | None = None,
    cloud_cover: float | None = None,
    pointing: Pointing = NADIR,
) -> FlightScenario:
    """``frames`` frames at a steady beat along one orbit: the mission's TLE, or one drawn from its ranges."""
    require_positive(frames, every_s)
    flight = _flight(mission, frames, every_s, seed, 0, start, pointing, spread=False)
    description = (
        f"{frames} frames, one every {every_s:g} s, along one orbit from {_day(flight.times[0])} UTC on; weather "
        f"and camera are drawn anew every {_WEATHER_M / 1e3:.0f} km."
    )
    return FlightScenario("orbit", description, mission, seed, (flight,), checked_cover(cloud_cover))


def draw_orbits(
    mission: Mission,
    orbits: int,
    revolutions: float,
    every_s: float,
    seed: int,
    start: np.datetime64 | None = None,
    cloud_cover: float | None = None,
    pointing: Pointing = NADIR,
) -> FlightScenario:
    """``orbits`` random orbits from the mission's ranges, flown for ``revolutions`` each, begun at any time of the year
    (with a TLE: that orbit, begun within a week of its epoch)."""
    if orbits < 1 or not revolutions > 0:
        raise SimError(f"{orbits} orbits over {revolutions} revolutions is no campaign: both must be positive")
    nominal_s = 2 * np.pi * np.sqrt((EARTH_RADIUS_M + mission.altitude_m) ** 3 / EARTH_GM_M3_S2)
    if not 0 < every_s <= nominal_s * revolutions:
        raise SimError(f"a frame every {every_s} s gives none in {revolutions} revolutions of {nominal_s:.0f} s")
    frames = int(nominal_s * revolutions / every_s) + 1
    flights = tuple(
        _flight(mission, frames, every_s, seed, number, start, pointing, spread=True) for number in range(orbits)
    )
    description = (
        f"{orbits} orbits drawn from the mission's ranges, each flown for {revolutions:g} revolutions with a frame "
        f"every {every_s:g} s, begun at any time of the year; weather and camera are drawn anew every "
        f"{_WEATHER_M / 1e3:.0f} km."
    )
    return FlightScenario("orbits", description, mission, seed, flights, checked_cover(cloud_cover))


def _flight(
    mission: Mission,
    frames: int,
    every_s: float,
    seed: int,
    number: int,
    start: np.datetime64 | None,
    pointing: Pointing,
    *,
    spread: bool,
) -> Flight:
    rng = np.random.default_rng((seed, 0, number))
    published = elements_epoch(mission.orbit)
    begin = start if start is not None else DEFAULT_START if published is None else published
    if spread:
        begin = utc_times(begin, [rng.uniform(0, YEAR_S if published is None else TLE_SPREAD_S)])[0]
    orbit = draw_orbit(mission.orbit, begin, rng)
    times = utc_times(begin, np.arange(frames) * every_s)
    stream = np.random.default_rng((seed, 1, number))
    return Flight(orbit, times, pointing.draw(mission, orbit, times[0], stream))


def require_positive(frames: int, every_s: float = 1.0) -> None:
    """SimError for a campaign of nothing."""
    if frames < 1 or not every_s > 0:
        raise SimError(f"{frames} frames every {every_s} s is no campaign: both must be positive")


def checked_cover(cloud_cover: float | None) -> float | None:
    """The cover; SimError outside 0 to 1."""
    if cloud_cover is not None and not 0 <= cloud_cover <= 1:
        raise SimError(f"cloud cover {cloud_cover} is outside 0 to 1")
    return cloud_cover


def _day(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, "m")).replace("T", " ")
