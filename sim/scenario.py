"""What a campaign flies: every frame's time, place, pointing, Sun, look and subject, all following from one seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array, ecef_from_ned, geodetic_from_ecef, heading_deg_of
from onboard.mission import Mission
from onboard.orbit_motion import EARTH_GM_M3_S2, EARTH_ROTATION_RAD_S
from sim.attitude import Attitude
from sim.look import Look
from sim.orbit import Orbit

# Start of a campaign that names none and has no TLE: northern summer, as in the Blue Marble most people have.
DEFAULT_START = np.datetime64("2026-07-01T00:00:00", "us")
EARTH = "earth"  # the subject of a frame that shows what is there


@dataclass(frozen=True, eq=False)
class Shot:
    """One exposure before it is rendered.

    position_ecef_m (3,); ecef_from_cam (3, 3); sun_ecef (3,) unit; lat_deg, lon_deg, altitude_m: geodetic nadir
    point; heading_deg: azimuth of the picture's up direction; off_nadir_deg: between the camera's axis and geodetic
    down; sun_elevation_deg: at the nadir point; seed: the campaign's; group: the name its statistics go under;
    flight: the number of its `Flight`, None without one; subject: what stands before the camera (sim/subjects.py);
    misled_deg: the runtime is told the attitude turned by so much about the camera's axis, None: it is told nothing.
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
    off_nadir_deg: float
    sun_elevation_deg: float
    look: Look
    seed: int
    group: str
    flight: int | None = None
    subject: str = EARTH
    misled_deg: float | None = None

    def noise(self) -> np.random.Generator:
        """The sensor's noise of this frame."""
        return np.random.default_rng((self.seed, 3, self.index))


def shot_at(
    index: int,
    time: np.datetime64,
    position_ecef_m: Array,
    ecef_from_cam: Array,
    sun_ecef: Array,
    look: Look,
    *,
    seed: int,
    group: str,
    flight: int | None = None,
    subject: str = EARTH,
    misled_deg: float | None = None,
) -> Shot:
    """A shot from its place, pointing and Sun; the angles are worked out."""
    lat, lon, altitude = (float(value) for value in geodetic_from_ecef(position_ecef_m))
    down = ecef_from_ned(lat, lon)[:, 2]
    forward = ecef_from_cam[:, 2]
    return Shot(
        index, time, position_ecef_m, ecef_from_cam, sun_ecef, lat, lon, altitude,
        heading_deg_of(ecef_from_cam, lat, lon),
        float(np.degrees(np.arctan2(np.linalg.norm(np.cross(forward, down)), forward @ down))),
        float(np.degrees(np.arcsin(np.clip(-down @ sun_ecef, -1, 1)))),
        look, seed, group, flight, subject, misled_deg,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Flight:
    """One orbit, the UTC times (N,) of its frames, in order, and how the camera is held."""

    orbit: Orbit
    times: NDArray[np.datetime64]
    attitude: Attitude

    @property
    def revolution_s(self) -> float:
        """How long once round takes: the period of the osculating ellipse at the first frame (within 0.3 %)."""
        positions, velocities = self.orbit.states(self.times[:1])
        inertial = velocities[0] + np.cross([0.0, 0.0, EARTH_ROTATION_RAD_S], positions[0])
        semi_major_axis_m = 1 / (2 / np.linalg.norm(positions[0]) - inertial @ inertial / EARTH_GM_M3_S2)
        return float(2 * np.pi * np.sqrt(semi_major_axis_m**3 / EARTH_GM_M3_S2))


class Scenario(Protocol):
    """Frames to take. ``description`` tells people what they are."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def mission(self) -> Mission: ...

    @property
    def seed(self) -> int: ...

    @property
    def flights(self) -> Sequence[Flight]:
        """The orbits flown; empty where frames do not lie on one."""
        ...

    def settings(self) -> dict[str, Any]:
        """All that the frames follow from beside mission and seed, as JSON."""
        ...

    def shots(self) -> list[Shot]:
        """Every frame's circumstances, index 0 to N - 1. Frame i does not depend on how many there are."""
        ...


def utc_text(time: np.datetime64) -> str:
    """2026-07-01T00:00:00.000000Z."""
    return str(np.datetime_as_string(time, "us")) + "Z"
