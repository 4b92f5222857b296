"""The mission file: camera, orbit, latitude band and budgets, in one YAML that every tool reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from onboard.camera import Camera
from onboard.camera_files import Named, load_camera
from onboard.errors import MissionError
from onboard.fix import Vertical
from onboard.geodesy import EARTH_RADIUS_M
from onboard.ground_plane import MAX_INCIDENCE_DEG, Direction, GroundPlane
from onboard.omm import load_omm, omm_fields
from onboard.strict_yaml import Section, number, span, text


@dataclass(frozen=True)
class Orbit:
    """What is known of the orbit: ranges of altitude (above the ellipsoid; it stays there from perigee to apogee) and
    inclination, within which the runtime searches; and, where they are known, mean elements to fly in simulation: the
    two lines of a TLE, or the keywords and values of an OMM."""

    altitude_m: tuple[float, float]
    inclination_deg: tuple[float, float]
    tle: tuple[str, str] | None = None
    omm: Mapping[str, str] | None = None

    @property
    def eccentricity(self) -> float:
        """The largest that is allowed for: of an ellipse from the lowest altitude to the highest, or the elements'."""
        low, high = self.altitude_m
        between = (high - low) / (2 * EARTH_RADIUS_M + low + high)
        if self.tle:
            return max(between, _tle_eccentricity(self.tle))
        return max(between, _omm_eccentricity(self.omm)) if self.omm else between


@dataclass(frozen=True)
class Mission:
    """One camera on one orbit.

    pointing_sigma_deg: 1-sigma of the angle between camera axis and where it should point, per axis; gsd_m: ground
    sampling distance of the catalogue; pack_mb, latency_ms: what pack and answer may take (`nadir index build` refuses
    more, `nadir sim hil` counts what is late); false_fix_probability: the risk per frame that the operator accepts;
    off_nadir_deg and off_nadir_direction_deg: how the camera is mounted (`Vertical.off_nadir`); 0: straight down.
    """

    name: str
    camera: Camera
    orbit: Orbit
    latitude_band_deg: tuple[float, float]
    pointing_sigma_deg: float
    gsd_m: float
    pack_mb: float
    latency_ms: float
    false_fix_probability: float
    off_nadir_deg: float = 0.0
    off_nadir_direction_deg: float = 0.0

    @property
    def altitude_m(self) -> float:
        """Nominal altitude: the middle of the range."""
        return sum(self.orbit.altitude_m) / 2

    @property
    def down_cam(self) -> Direction:
        """Unit vector of local down in camera axes, as the camera is mounted."""
        return Vertical.off_nadir(self.off_nadir_deg, self.off_nadir_direction_deg, np.inf).down_cam


def load_mission(path: str | Path, named: Named | None = None) -> Mission:
    """Read a mission file; raises MissionError with file, line and key, CameraError for its camera. named: where a file
    lies that it names, or the camera does; beside it, unless told otherwise."""
    top = Section.load(path, MissionError)
    named = named or Path(path).parent.joinpath
    mission = Mission(
        name=top.take("name", text),
        camera=load_camera(named(top.take("camera", text)), named),
        orbit=_orbit(top.section("orbit"), named),
        latitude_band_deg=top.take("latitude_band_deg", span(-90, 90)),
        pointing_sigma_deg=top.take("pointing_sigma_deg", number(0.001, 5), 1.0),
        off_nadir_deg=top.take("off_nadir_deg", number(0, 90), 0.0),
        off_nadir_direction_deg=top.take("off_nadir_direction_deg", number(-360, 360), 0.0),
        gsd_m=top.take("gsd_m", number(1, 50_000)),
        false_fix_probability=top.take("false_fix_probability", number(1e-9, 0.1), 2e-5),
        **_budget(top.section("budget")),
    )
    top.done()
    if mission.latitude_band_deg[1] - mission.latitude_band_deg[0] < 1:
        raise MissionError(f"{path}: latitude_band_deg spans less than a degree")
    if "off_nadir_direction_deg" in top and "off_nadir_deg" not in top:
        raise MissionError(f"{path}: off_nadir_direction_deg says where to a camera is tilted; give off_nadir_deg too")
    if not GroundPlane(mission.orbit.altitude_m[1], mission.down_cam).usable:
        raise MissionError(
            f"{path}: off_nadir_deg: from {mission.orbit.altitude_m[1] / 1e3:g} km a camera {mission.off_nadir_deg:g} "
            f"degrees off nadir looks {MAX_INCIDENCE_DEG:g} degrees or more off the ground's vertical: tilt it less"
        )
    return mission


def _orbit(section: Section, named: Named) -> Orbit:
    altitude = section.take("altitude_km", span(100, 50_000))
    inclination = section.take("inclination_deg", span(0, 180), (0.0, 180.0))
    tle = section.take("tle", _tle, None)
    omm = section.take("omm", _omm(named), None)
    section.done()
    if tle and omm:
        raise section.complaint(None, "tle and omm both say where the satellite is; give one")
    return Orbit((altitude[0] * 1e3, altitude[1] * 1e3), inclination, tle, omm)


def _omm(named: Named) -> Callable[[Any], dict[str, str]]:
    """A converter of a file's name, or of the keywords and values themselves (as a pack's copy has them)."""

    def convert(value: Any) -> dict[str, str]:
        try:
            fields = load_omm(named(value)) if isinstance(value, str) else omm_fields(value)
        except OSError as error:
            raise ValueError(f"{error.filename}: {error.strerror}") from error
        _omm_eccentricity(fields)
        return fields

    return convert


def _omm_eccentricity(fields: Mapping[str, str]) -> float:
    try:
        return number(0, 1)(float(fields["ECCENTRICITY"]))
    except ValueError as error:
        raise ValueError(f"ECCENTRICITY {fields['ECCENTRICITY']!r} is none: give 0 to 1") from error


def _tle(value: Any) -> tuple[str, str]:
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(line, str) for line in value)):
        raise ValueError("must be a list of the two TLE lines")
    if not (value[0].startswith("1 ") and value[1].startswith("2 ") and min(map(len, value)) >= 68):
        raise ValueError("the two lines must start with '1 ' and '2 ' and have 69 characters")
    lines = value[0], value[1]
    _tle_eccentricity(lines)
    return lines


def _tle_eccentricity(lines: tuple[str, str]) -> float:
    digits = lines[1][26:33].replace(" ", "0")
    if not digits.isdecimal():
        raise ValueError(f"columns 27 to 33 of the second line must be the eccentricity's digits, not {digits!r}")
    return float(f"0.{digits}")


def _budget(section: Section) -> dict[str, float]:
    values = {
        "pack_mb": section.take("pack_mb", number(0.1, 100_000)),
        "latency_ms": section.take("latency_ms", number(1, 1e6), 500.0),
    }
    section.done()
    return values


def mission_yaml(mission: Mission, camera_file: str) -> str:
    """The mission as a file's text, its camera named ``camera_file``; `load_mission` reads it back."""
    orbit: dict[str, Any] = {
        "altitude_km": [value / 1e3 for value in mission.orbit.altitude_m],
        "inclination_deg": list(mission.orbit.inclination_deg),
    }
    if mission.orbit.tle:
        orbit["tle"] = list(mission.orbit.tle)
    if mission.orbit.omm:
        orbit["omm"] = dict(mission.orbit.omm)
    plain = {
        "name": mission.name,
        "camera": camera_file,
        "orbit": orbit,
        "latitude_band_deg": list(mission.latitude_band_deg),
        "pointing_sigma_deg": mission.pointing_sigma_deg,
        "off_nadir_deg": mission.off_nadir_deg,
        "off_nadir_direction_deg": mission.off_nadir_direction_deg,
        "gsd_m": mission.gsd_m,
        "false_fix_probability": mission.false_fix_probability,
        "budget": {"pack_mb": mission.pack_mb, "latency_ms": mission.latency_ms},
    }
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=None)
