"""Scenario ``reject``: frames that should give no fix, and in which any fix must at least be right."""

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from onboard.geodesy import EARTH_RADIUS_M
from onboard.mission import Mission
from sim.earth_frames import sun_ecef
from sim.errors import SimError
from sim.flight_scenario import require_positive
from sim.footprint import ground_way_m, swath_m
from sim.look import Look, draw_look
from sim.places import Ground, Streams, draw_places, draw_times
from sim.reject_kinds import HARD, REJECT, Kind
from sim.scenario import DEFAULT_START, Flight, Shot, shot_at, utc_text
from sim.season import season_of
from sim.still_shots import pose_over, pose_towards
from sim.subjects import SHOWN_MIRRORED

# Clouds that are to leave room for structure cover so much of the frame.
STRUCTURED_COVER = (0.3, 0.8)
# A heading the runtime is told wrongly is off by so much either way, degrees.
MISLED_DEG = (20.0, 180.0)


@dataclass(frozen=True, eq=False)
class RejectScenario:
    """``frames`` frames, the kinds of REJECT in turn; of HARD when ``hard``."""

    mission: Mission
    frames: int
    seed: int
    ground: Ground
    start: np.datetime64 = DEFAULT_START
    hard: bool = False

    flights: tuple[Flight, ...] = ()

    def __post_init__(self) -> None:
        require_positive(self.frames)

    @property
    def name(self) -> str:
        return "hard" if self.hard else "reject"

    @property
    def description(self) -> str:
        judged = "A fix counts as wrong unless the frame does show the Earth and the fix is right."
        if self.hard:
            return (
                f"{self.frames} frames full of features that look right: maps with east and west exchanged (any land, "
                f"deserts, farmland), one patch of farmland repeated, mirrored pictures, other worlds, the map's "
                f"painted sea floor, streets and cells of cloud, frames from 0.6 and 1.6 times the altitude the "
                f"runtime is told, frames with a wrong heading told, deserts and farmland as they are. {judged}"
            )
        left_out = "" if "off-map" in self.kinds else " No place is off the map: the latitude band reaches the poles."
        return (
            f"{self.frames} frames that should give no fix: open ocean, overcast sky, night, the limb, land outside "
            f"the catalogue's latitudes, worlds that are not the Earth (a mirrored map, a cratered plain) and garbage "
            f"(noise, one colour, test patterns, a damaged frame). {judged}{left_out}"
        )

    def settings(self) -> dict[str, Any]:
        return {"frames": self.frames, "start_utc": utc_text(self.start), "kinds": list(self.kinds)}

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kinds that this mission has: there is no place off a map that reaches the poles."""
        kinds = HARD if self.hard else REJECT
        return {name: kind for name, kind in kinds.items() if kind.place != "off-map" or self._off_map_bands()}

    def shots(self) -> list[Shot]:
        kinds = self.kinds
        shots: list[Shot] = []
        for number, (name, kind) in enumerate(islice(kinds.items(), self.frames)):
            shots += self._shots_of(name, kind, range(number, self.frames, len(kinds)))
        return sorted(shots, key=lambda shot: shot.index)

    def _shots_of(self, name: str, kind: Kind, indices: range) -> list[Shot]:
        streams = [np.random.default_rng((self.seed, 2, index)) for index in indices]
        lats, lons = self._places(kind, streams)
        subjects = [kind.subjects[turn % len(kind.subjects)] for turn in range(len(indices))]
        # The mirrored map shows at a place what lies at the opposite longitude.
        lons = np.where([subject in SHOWN_MIRRORED for subject in subjects], -lons, lons)
        times = draw_times(streams, self.start, lats, lons, kind.sun_deg)
        shots = []
        for turn, (rng, sun) in enumerate(zip(streams, sun_ecef(times))):
            lat, lon, time = float(lats[turn]), float(lons[turn]), times[turn]
            factor = kind.altitude_factors[turn % len(kind.altitude_factors)]
            if kind.limb:
                position, ecef_from_cam = pose_over(self.mission, lat, lon, rng, self._limb_tilt_deg(rng), factor)
            else:
                position, ecef_from_cam = pose_towards(self.mission, lat, lon, rng, factor)
            look = self._look(kind, turn, rng, lat, lon, time)
            misled_deg = float(rng.uniform(*MISLED_DEG) * rng.choice([-1, 1])) if kind.misled else None
            shots.append(
                shot_at(
                    indices[turn], time, position, ecef_from_cam, sun, look,
                    seed=self.seed, group=name, subject=subjects[turn], misled_deg=misled_deg,
                )
            )  # fmt: skip
        return shots

    @staticmethod
    def _look(kind: Kind, turn: int, rng: np.random.Generator, lat: float, lon: float, time: np.datetime64) -> Look:
        look = draw_look(rng, lat, lon, kind.cloud_cover, season_of(time))
        if not kind.clouds:
            return look
        cover = float(rng.uniform(*STRUCTURED_COVER))
        return replace(look, cloud_kind=kind.clouds[turn % len(kind.clouds)], cloud_cover=cover)

    def _places(self, kind: Kind, streams: Streams) -> tuple[np.ndarray, np.ndarray]:
        band = [self.mission.latitude_band_deg]
        if kind.place == "sea":
            reach = self._reach_m()
            return draw_places(streams, band, lambda lat, lon: self.ground.open_sea(lat, lon, reach), "open ocean")
        if kind.place != "off-map":
            suits = {"land": self.ground.land, "desert": self.ground.desert, "fields": self.ground.fields}[kind.place]
            return draw_places(streams, band, suits, f"mapped {kind.place}")
        bands = self._off_map_bands()
        try:
            return draw_places(streams, bands, self.ground.land, "mapped land outside the latitude band")
        except SimError:  # out there may be only sea, or no map: whatever is there is off the map
            return draw_places(streams, bands, lambda lat, lon: np.ones(len(lat), bool), "a place")

    def _off_map_bands(self) -> list[tuple[float, float]]:
        """Latitudes from which no frame shows ground of the catalogue."""
        south, north = self.mission.latitude_band_deg
        margin = float(np.degrees(self._reach_m() / EARTH_RADIUS_M))
        return [band for band in ((-90.0, south - margin), (north + margin, 90.0)) if band[1] - band[0] > 1]

    def _reach_m(self) -> float:
        """How far from what its axis meets a frame shows ground: half of its diagonal, and more where it is tilted."""
        camera, altitude_m = self.mission.camera, self.mission.orbit.altitude_m[1]
        half_m = swath_m(camera, altitude_m) / 2 * float(np.hypot(1, camera.height / camera.width)) * 1.1
        tilt, corner = np.radians(self.mission.off_nadir_deg), np.arccos(camera.rays([[-0.5, -0.5]])[0, 2])
        near, far, level = (ground_way_m(angle, altitude_m) for angle in (tilt, tilt + corner, corner))
        return half_m + far - near - level

    def _limb_tilt_deg(self, rng: np.random.Generator) -> float:
        """The axis up to half a field from the horizon, so that the limb is in the frame."""
        camera = self.mission.camera
        horizon = np.degrees(np.arcsin(EARTH_RADIUS_M / (EARTH_RADIUS_M + self.mission.altitude_m)))
        half_field = np.degrees(np.arctan2(camera.height / 2, camera.fy))
        return float(horizon + rng.uniform(-0.9, 0.5) * half_field)
