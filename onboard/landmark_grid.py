"""Landmarks in order of place, so that a neighbourhood is cut out of a million without looking at the others."""

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array, latlon_from_unit
from onboard.landmarks import Catalogue

_ROW_DEG = 1.0
_ROWS = int(180 / _ROW_DEG) + 1


class LandmarkGrid:
    """Rows of latitude, each in order of longitude. A few megabytes beside a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._unit = catalogue.unit
        row = _row(catalogue.lat_deg)
        self._order = np.lexsort((catalogue.lon_deg, row)).astype(np.uint32)
        self._lon_deg = catalogue.lon_deg[self._order]
        self._starts = np.searchsorted(row[self._order], np.arange(_ROWS + 1))

    def within(self, unit: Array, radius_rad: float) -> NDArray[np.int64]:
        """Numbers of the landmarks within an angle of a unit vector (3,), ascending."""
        (lat, lon), radius_deg = latlon_from_unit(unit), float(np.degrees(radius_rad))
        # Where a meridian touches the circle (Snyder 1987): none does when the circle holds a pole.
        reach = np.sin(radius_rad) / max(np.cos(np.radians(lat)), 1e-12)
        half = float(np.degrees(np.arcsin(reach))) if reach < 1 and abs(lat) + radius_deg < 90 else 180.0
        first, last = _row(np.array([lat - radius_deg, lat + radius_deg]))
        found = [
            part
            for row in range(first, last + 1)
            for west, east in _spans(lon - half, lon + half)
            if len(part := self._part(row, west, east))
        ]
        numbers = np.sort(np.concatenate(found or [self._order[:0]])).astype(np.int64)
        return numbers[self._unit[numbers] @ unit.astype(np.float32) > np.cos(radius_rad)]

    def _part(self, row: int, west_deg: float, east_deg: float) -> NDArray[np.uint32]:
        start, stop = self._starts[row], self._starts[row + 1]
        low, high = np.searchsorted(self._lon_deg[start:stop], [west_deg, east_deg], side="left")
        return self._order[start + low : start + high]


def _row(lat_deg: NDArray) -> NDArray[np.int64]:
    return np.clip(np.floor((lat_deg + 90.0) / _ROW_DEG), 0, _ROWS - 1).astype(np.int64)


def _spans(west_deg: float, east_deg: float) -> list[tuple[float, float]]:
    """A span of longitude cut at the antimeridian; every longitude when it goes around. A hair wider than asked, for
    longitudes in single precision."""
    west, east = west_deg - 1e-4, east_deg + 1e-4
    if east - west >= 360:
        return [(-181.0, 181.0)]
    if west < -180:
        return [(-181.0, east), (west + 360, 181.0)]
    if east > 180:
        return [(west, 181.0), (-181.0, east - 360)]
    return [(west, east)]
