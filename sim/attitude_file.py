"""Attitude that somebody else computed: quaternions over time, read from a CSV or JSON-lines file."""

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from onboard.geodesy import Array
from onboard.utc import utc_time
from sim.earth_frames import ecef_from_gcrs
from sim.errors import SimError

FRAMES = ("ecef", "gcrs")
# Rounding to four decimals stays within this; anything farther from 1 is a mistake in the file.
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class AttitudeFile:
    """Quaternions at UTC ``times`` (N,), turned along the shortest way between (slerp).

    frame: 'ecef' or 'gcrs', what the quaternions turn camera axes to; rotations: N of them; sha256: of the file.
    """

    name: str
    frame: str
    times: NDArray[np.datetime64]
    rotations: Rotation
    sha256: str

    def ecef_from_cam(
        self, times: NDArray[np.datetime64], positions_ecef_m: Array, velocities_ecef_m_s: Array
    ) -> Array:
        """As `sim.attitude.Attitude`; SimError for times that the file does not reach."""
        self._require(times)
        turned = Slerp(_seconds(self.times, self.times[0]), self.rotations)(_seconds(times, self.times[0])).as_matrix()
        return turned if self.frame == "ecef" else ecef_from_gcrs(times) @ turned

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "file", "file": self.name, "frame": self.frame, "sha256": self.sha256}

    def _require(self, times: NDArray[np.datetime64]) -> None:
        reach, needed = (self.times[0], self.times[-1]), (times.min(), times.max())
        if needed[0] < reach[0] or needed[1] > reach[1]:
            lacks = "ends early" if needed[1] > reach[1] else "begins late"
            raise SimError(
                f"{self.name}: {lacks}: it reaches from {_text(reach[0])} to {_text(reach[1])}, the frames need "
                f"{_text(needed[0])} to {_text(needed[1])}; give a longer file, fewer --frames, or another --start"
            )


def load_attitude(path: Path) -> AttitudeFile:
    """Read ``path``, a CSV (``.csv``) or JSON lines (any other name).

    CSV: header ``time_utc, quat_F_from_cam_w, quat_F_from_cam_x, ..._y, ..._z`` in any order, other columns allowed;
    JSON: a line ``{"time_utc": "...Z", "quat_F_from_cam_wxyz": [w, x, y, z]}``, other keys allowed (a campaign's
    truth.jsonl is such a file). F is ecef or gcrs, the same on every line. Times ascend; at least two; ISO 8601, UTC.
    Raises SimError with file and line.
    """
    try:
        data = path.read_bytes()
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise SimError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SimError(f"{path}: is no text in UTF-8") from error
    frames, times, quats = [], [], []
    for number, frame, stamp, values in _csv(path, lines) if path.suffix.lower() == ".csv" else _json(path, lines):
        where = f"{path}:{number}"
        frames.append(frame)
        times.append(_time(where, stamp))
        quats.append(_unit(where, values))
        if frame != frames[0]:
            raise SimError(f"{where}: gives {frame}_from_cam, the lines above {frames[0]}_from_cam; choose one")
        if len(times) > 1 and times[-1] <= times[-2]:
            raise SimError(f"{where}: {_text(times[-1])} is not after {_text(times[-2])}; sort the lines by time")
    if len(times) < 2:
        raise SimError(f"{path}: holds {len(times)} attitudes; at least two are needed to turn between")
    rotations = Rotation.from_quat(np.roll(quats, -1, axis=1))  # scipy: scalar last
    return AttitudeFile(str(path), frames[0], np.array(times), rotations, hashlib.sha256(data).hexdigest())


_Entry = tuple[int, str, Any, Any]


def _csv(path: Path, lines: list[str]) -> Iterator[_Entry]:
    reader = csv.reader(lines, skipinitialspace=True)
    header = [name.strip() for name in next(reader, [])]
    frames = [frame for frame in FRAMES if set(_columns(frame)) <= set(header)]
    if "time_utc" not in header or len(frames) != 1:
        raise SimError(
            f"{path}:1: the header must be time_utc, {', '.join(_columns('ecef'))} (or gcrs for ecef), "
            f"not {', '.join(header) or 'empty'}"
        )
    at = [header.index(name) for name in ("time_utc", *_columns(frames[0]))]
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            raise SimError(f"{path}:{reader.line_num}: has {len(row)} fields, the header {len(header)}")
        stamp, *values = (row[index] for index in at)
        yield reader.line_num, frames[0], stamp, values


def _json(path: Path, lines: list[str]) -> Iterator[_Entry]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise SimError(f"{path}:{number}: is no JSON ({error})") from error
        keys = {f"quat_{frame}_from_cam_wxyz": frame for frame in FRAMES}
        given = [key for key in keys if isinstance(record, dict) and key in record]
        if len(given) != 1 or "time_utc" not in record:
            raise SimError(f"{path}:{number}: needs time_utc and one of {', '.join(keys)}")
        yield number, keys[given[0]], record["time_utc"], record[given[0]]


def _columns(frame: str) -> list[str]:
    return [f"quat_{frame}_from_cam_{axis}" for axis in "wxyz"]


def _time(where: str, stamp: Any) -> np.datetime64:
    try:
        return utc_time(str(stamp))
    except ValueError as error:
        raise SimError(f"{where}: {error}") from error


def _unit(where: str, values: Any) -> Array:
    try:
        quat = np.array([float(value) for value in values])
    except (TypeError, ValueError) as error:
        raise SimError(f"{where}: {values!r} are not four numbers") from error
    norm = float(np.linalg.norm(quat))
    if quat.shape != (4,) or not abs(norm - 1) <= _UNIT_TOLERANCE:
        raise SimError(f"{where}: {values!r} is no unit quaternion (w, x, y, z): its length is {norm:.6g}, not 1")
    return quat / norm


def _seconds(times: NDArray[np.datetime64], start: np.datetime64) -> Array:
    return (times - start) / np.timedelta64(1, "s")


def _text(time: np.datetime64) -> str:
    return np.datetime_as_string(time, "ms") + "Z"
