"""Photographs of a real camera with their recorded places: what the simulator is asked to render again."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onboard.geodesy import azimuth_deg, distance_m
from onboard.utc import utc_time
from sim.errors import SimError

COLUMNS = ("file", "time_utc", "lat_deg", "lon_deg", "altitude_km", "label")
# Two photographs this near in time lie on one pass; the way between them is the direction of flight.
_PASS_S = 120.0


@dataclass(frozen=True)
class Photograph:
    """path of the picture; time UTC; lat_deg, lon_deg: geodetic nadir point; altitude_m; label: what it shows."""

    path: Path
    time: np.datetime64
    lat_deg: float
    lon_deg: float
    altitude_m: float
    label: str


def table_of(named: Path) -> Path:
    """The frames.csv of a folder, or the file itself."""
    return named / "frames.csv" if named.is_dir() else named


def read_photographs(table: Path) -> list[Photograph]:
    """The photographs of a frames.csv (columns COLUMNS, others are passed over), pictures beside it.

    Raises SimError naming the line and column that is wrong, or the picture that is missing.
    """
    path = table_of(table)
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise SimError(f"{path}: cannot be read ({error})") from error
    if not rows:
        raise SimError(f"{path}: lists no photograph")
    missing = [name for name in COLUMNS if name not in rows[0]]
    if missing:
        raise SimError(f"{path}: has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    return [_photograph(path, line, row) for line, row in enumerate(rows, 2)]


def _photograph(table: Path, line: int, row: dict[str, str]) -> Photograph:
    values = {}
    for name, low, high in (("lat_deg", -90, 90), ("lon_deg", -180, 180), ("altitude_km", 100, 100_000)):
        try:
            values[name] = float(row[name])
        except (TypeError, ValueError) as error:
            raise SimError(f"{table}, line {line}: {name} {row[name]!r} is no number") from error
        if not low <= values[name] <= high:
            raise SimError(f"{table}, line {line}: {name} {row[name]} is outside {low} to {high}")
    try:
        time = utc_time(row["time_utc"] or "")
    except ValueError as error:
        raise SimError(f"{table}, line {line}: time_utc {error}") from error
    path = table.parent / row["file"]
    if not path.is_file():
        raise SimError(f"{table}, line {line}: the picture {path} is missing")
    return Photograph(path, time, values["lat_deg"], values["lon_deg"], values["altitude_km"] * 1e3, str(row["label"]))


def track_azimuth_deg(photographs: list[Photograph]) -> list[float]:
    """Direction of flight over the ground at each photograph, from its neighbours in time; NaN where there are none."""
    azimuths = []
    for i, here in enumerate(photographs):
        found = float("nan")
        for a, b in ((i - 1, i + 1), (i, i + 1), (i - 1, i)):
            if a < 0 or b >= len(photographs):
                continue
            first, second = photographs[a], photographs[b]
            apart_s = (second.time - first.time) / np.timedelta64(1, "s")
            way_m = distance_m(first.lat_deg, first.lon_deg, second.lat_deg, second.lon_deg)
            if 0 < apart_s < _PASS_S and way_m > 1e3:
                # The azimuth turns along a great circle: taken half-way, it holds at the middle.
                ahead = azimuth_deg(first.lat_deg, first.lon_deg, second.lat_deg, second.lon_deg)
                back = azimuth_deg(second.lat_deg, second.lon_deg, first.lat_deg, first.lon_deg) + 180.0
                share = ((here.time - first.time) / np.timedelta64(1, "s")) / apart_s
                turn = (back - ahead + 180.0) % 360.0 - 180.0
                found = float((ahead + share * turn) % 360.0)
                break
        azimuths.append(found)
    return azimuths


def headings_deg(photographs: list[Photograph], solved_deg: list[float | None]) -> list[float]:
    """Heading of every photograph: as solved (None: not solved), else the direction of flight plus the median yaw of
    the solved ones. Raises SimError when no heading can be had."""
    solved = [value for value in solved_deg if value is not None]
    if len(solved) == len(solved_deg):
        return solved
    track = track_azimuth_deg(photographs)
    yaws = [(value - azimuth) % 360.0 for value, azimuth in zip(solved_deg, track) if value is not None]
    yaws = [yaw for yaw in yaws if np.isfinite(yaw)]
    if not solved:
        raise SimError(
            "no photograph was located, so that nobody knows how the camera was turned: is it the right pack?"
        )
    if not yaws:
        raise SimError(
            "no photograph that was located has a neighbour within two minutes: how the camera was turned along the "
            f"track, which would tell the other {len(solved_deg) - len(solved)} their headings, is not known"
        )
    middle = np.angle(np.exp(1j * np.radians(yaws)).sum(), deg=True)
    yaw = float(middle + np.median([(value - middle + 180.0) % 360.0 - 180.0 for value in yaws]))
    headings = [float(azimuth + yaw) % 360.0 if value is None else value for value, azimuth in zip(solved_deg, track)]
    if not np.isfinite(headings).all():
        raise SimError("a photograph that could not be located has no neighbour within two minutes to tell its heading")
    return headings
