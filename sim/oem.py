"""Orbits as CCSDS Orbit Ephemeris Messages (CCSDS 502.0-B-2, version 2.0, key-value notation)."""

from datetime import datetime, timezone
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from onboard import mission
from sim.scenario import Flight

# States as seen from the turning Earth; ITRF2014 and WGS84 axes agree to centimetres.
REF_FRAME = "ITRF2014"
LONGEST_STEP_S = 60.0
# Seven steps of at most a minute: Lagrange's polynomial between them is good to a metre in low orbit (tested).
INTERPOLATION_DEGREE = 7
_LONGEST_GAP_S = 2 * 86400.0  # frames farther apart are of different ephemerides


def oem_text(flight: Flight, object_name: str, object_id: str, created: datetime | None = None) -> str:
    """A flight as an OEM: states (km, km/s) at every frame, and between frames often enough to interpolate.

    object_id: the international designator where there is one (1998-067A). created: UTC, now by default.
    """
    now = datetime.now(timezone.utc) if created is None else created
    lines = [
        "CCSDS_OEM_VERS = 2.0",
        "COMMENT Made by nadir sim run; states at the frames' times and in between",
        f"CREATION_DATE = {now.strftime('%Y-%m-%dT%H:%M:%S')}",
        "ORIGINATOR = NADIR",
    ]
    for times in _arcs(flight.times):
        lines += _block(flight, _state_times(times), object_name, object_id)
    return "\n".join(lines) + "\n"


def _block(flight: Flight, times: NDArray[np.datetime64], object_name: str, object_id: str) -> list[str]:
    """Metadata and states of times (N,) between which is to be interpolated."""
    degree = min(INTERPOLATION_DEGREE, len(times) - 1)
    positions, velocities = flight.orbit.states(times)
    states = np.hstack([positions, velocities]) / 1e3
    return [
        "",
        "META_START",
        f"OBJECT_NAME = {object_name.upper()}",
        f"OBJECT_ID = {object_id}",
        "CENTER_NAME = EARTH",
        f"REF_FRAME = {REF_FRAME}",
        "TIME_SYSTEM = UTC",
        f"START_TIME = {_epoch(times[0])}",
        f"STOP_TIME = {_epoch(times[-1])}",
        *(["INTERPOLATION = LAGRANGE", f"INTERPOLATION_DEGREE = {degree}"] if degree else []),
        "META_STOP",
        "",
        *(
            f"{_epoch(time)} {x:.6f} {y:.6f} {z:.6f} {vx:.9f} {vy:.9f} {vz:.9f}"
            for time, (x, y, z, vx, vy, vz) in zip(times, states.tolist())
        ),
    ]


def object_id_of(orbit: mission.Orbit) -> str:
    """The international designator of a TLE or OMM as CCSDS writes it (1998-067A); UNKNOWN without one."""
    if orbit.omm is not None:
        return orbit.omm.get("OBJECT_ID", "UNKNOWN")
    designator = "" if orbit.tle is None else orbit.tle[0][9:17].strip()
    if len(designator) < 6 or not designator[:5].isdigit():
        return "UNKNOWN"
    year = int(designator[:2])
    return f"{1900 + year if year >= 57 else 2000 + year}-{designator[2:]}"


def _arcs(times: NDArray[np.datetime64]) -> list[NDArray[np.datetime64]]:
    """The frames' times, parted where nobody would interpolate."""
    return np.split(times, np.flatnonzero(np.diff(times) / np.timedelta64(1, "s") > _LONGEST_GAP_S) + 1)


def _state_times(times: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """The frames' times, and enough in between."""
    parts = []
    for first, second in pairwise(times.astype("datetime64[us]")):
        gap_s = (second - first) / np.timedelta64(1, "s")
        steps = int(np.ceil(gap_s / LONGEST_STEP_S))
        parts.append(first + (np.arange(steps) * (gap_s * 1e6 / steps)).round().astype("timedelta64[us]"))
    return np.concatenate([*parts, times[-1:].astype("datetime64[us]")])


def _epoch(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, "us"))
