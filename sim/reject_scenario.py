"""Scenario ``reject``: frames that should give no fix, and in which any fix must at least be right."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from onboard.geodesy import EARTH_RADIUS_M
from onboard.mission import Mission
from sim.earth_frames import sun_ecef
from sim.errors import SimError
from sim.flight_scenario import require_positive
from sim.footprint import ground_way_m, swath_m
from sim.look import draw_look
from sim.places import Ground, Streams, draw_places, draw_times
from sim.scenario import DEFAULT_START, EARTH, Flight, Shot, shot_at, utc_text
from sim.season import season_of
from sim.still_shots import pose_over, pose_towards
from sim.subjects import BARS, CHECKERBOARD, CRATERED, MIRRORED, NOISE, STRIPES, UNIFORM

DAY_DEG, NIGHT_DEG = (5.0, 90.0), (-90.0, -10.0)


@dataclass(frozen=True)
class Kind:
    """A way to be useless. subjects: taken in turn; place: 'land', 'sea' or 'off-map'; cloud_cover: None: drawn."""

    subjects: tuple[str, ...] = (EARTH,)
    place: str = "land"
    sun_deg: tuple[float, float] = DAY_DEG
    cloud_cover: float | None = None
    limb: bool = False


KINDS = {
    "ocean": Kind(place="sea"),
    "overcast": Kind(cloud_cover=1.0),
    "night": Kind(sun_deg=NIGHT_DEG),
    "limb": Kind(limb=True),
    "off-map": Kind(place="off-map"),
    "moon-like": Kind(subjects=(MIRRORED, CRATERED), cloud_cover=0.0),
    "garbage": Kind(subjects=(NOISE, UNIFORM, CHECKERBOARD, BARS, STRIPES)),
}


@dataclass(frozen=True, eq=False)
class RejectScenario:
    """``frames`` frames, the kinds of KINDS in turn."""

    mission: Mission
    frames: int
    seed: int
    ground: Ground
    start: np.datetime64 = DEFAULT_START

    name = "reject"
    flights: tuple[Flight, ...] = ()

    def __post_init__(self) -> None:
        require_positive(self.frames)

    @property
    def description(self) -> str:
        left_out = "" if "off-map" in self.kinds else " No place is off the map: the latitude band reaches the poles."
        return (
            f"{self.frames} frames that should give no fix: open ocean, overcast sky, night, the limb, land outside "
            f"the catalogue's latitudes, worlds that are not the Earth (a mirrored map, a cratered plain) and garbage "
            f"(noise, one colour, test patterns, a damaged frame). A fix counts as wrong unless the frame does show "
            f"the Earth and the fix is right.{left_out}"
        )

    def settings(self) -> dict[str, Any]:
        return {"frames": self.frames, "start_utc": utc_text(self.start), "kinds": list(self.kinds)}

    @property
    def kinds(self) -> list[str]:
        """The kinds that this mission has: there is no place off a map that reaches the poles."""
        return [name for name in KINDS if name != "off-map" or self._off_map_bands()]

    def shots(self) -> list[Shot]:
        names = self.kinds
        shots: list[Shot] = []
        for number, name in enumerate(names):
            shots += self._shots_of(name, range(number, self.frames, len(names)), len(names))
        return sorted(shots, key=lambda shot: shot.index)

    def _shots_of(self, name: str, indices: range, step: int) -> list[Shot]:
        kind = KINDS[name]
        streams = [np.random.default_rng((self.seed, 2, index)) for index in indices]
        lats, lons = self._places(kind, streams)
        subjects = [kind.subjects[index // step % len(kind.subjects)] for index in indices]
        # The mirrored map shows at a place what lies at the opposite longitude.
        lons = np.where([subject == MIRRORED for subject in subjects], -lons, lons)
        times = draw_times(streams, self.start, lats, lons, kind.sun_deg)
        shots = []
        for i, (rng, sun) in enumerate(zip(streams, sun_ecef(times))):
            lat, lon = float(lats[i]), float(lons[i])
            if kind.limb:
                position, ecef_from_cam = pose_over(self.mission, lat, lon, rng, self._limb_tilt_deg(rng))
            else:
                position, ecef_from_cam = pose_towards(self.mission, lat, lon, rng)
            look = draw_look(rng, lat, lon, kind.cloud_cover, season_of(times[i]))
            shots.append(
                shot_at(
                    indices[i], times[i], position, ecef_from_cam, sun, look,
                    seed=self.seed, group=name, subject=subjects[i],
                )
            )  # fmt: skip
        return shots

    def _places(self, kind: Kind, streams: Streams) -> tuple[np.ndarray, np.ndarray]:
        band = [self.mission.latitude_band_deg]
        if kind.place == "sea":
            reach = self._reach_m()
            return draw_places(streams, band, lambda lat, lon: self.ground.open_sea(lat, lon, reach), "open ocean")
        if kind.place == "land":
            return draw_places(streams, band, self.ground.land, "mapped land")
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
