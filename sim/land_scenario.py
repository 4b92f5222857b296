"""Scenario ``land``: what the camera looks at is drawn uniformly over the land of the mission's band, by day."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from onboard.mission import Mission
from sim.earth_frames import sun_ecef
from sim.flight_scenario import checked_cover, require_positive
from sim.look import draw_look
from sim.places import Ground, draw_places, draw_times
from sim.scenario import DEFAULT_START, Flight, Shot, shot_at, utc_text
from sim.season import season_of
from sim.statistics import DAY_ELEVATION_DEG
from sim.still_shots import pose_towards


@dataclass(frozen=True, eq=False)
class LandScenario:
    """``frames`` places, each at a random time of the year after ``start`` with the Sun up, under drawn weather."""

    mission: Mission
    frames: int
    seed: int
    ground: Ground
    start: np.datetime64 = DEFAULT_START
    cloud_cover: float | None = None

    name = "land"
    flights: tuple[Flight, ...] = ()

    def __post_init__(self) -> None:
        require_positive(self.frames)
        checked_cover(self.cloud_cover)

    @property
    def description(self) -> str:
        south, north = self.mission.latitude_band_deg
        return (
            f"{self.frames} places drawn uniformly over the mapped land between latitudes {south:g} and {north:g}, "
            f"each at a random time of the year with the Sun above {DAY_ELEVATION_DEG:g} degrees, any heading; the "
            f"weather of every frame is drawn anew."
        )

    def settings(self) -> dict[str, Any]:
        return {"frames": self.frames, "start_utc": utc_text(self.start), "cloud_cover": self.cloud_cover}

    def shots(self) -> list[Shot]:
        streams = [np.random.default_rng((self.seed, 2, index)) for index in range(self.frames)]
        lats, lons = draw_places(streams, [self.mission.latitude_band_deg], self.ground.land, "mapped land")
        times = draw_times(streams, self.start, lats, lons, (DAY_ELEVATION_DEG, 90.0))
        shots = []
        for index, (rng, sun) in enumerate(zip(streams, sun_ecef(times))):
            lat, lon = float(lats[index]), float(lons[index])
            position, ecef_from_cam = pose_towards(self.mission, lat, lon, rng)
            look = draw_look(rng, lat, lon, self.cloud_cover, season_of(times[index]))
            shots.append(
                shot_at(index, times[index], position, ecef_from_cam, sun, look, seed=self.seed, group=self.name)
            )
        return shots
