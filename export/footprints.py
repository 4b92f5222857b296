"""Pictures of which the ground positions of the four corners are known: astronaut photographs and map tiles.

Two forms are read: a folder with ``footprints.csv``, and the public layout of EarthLoc (Berton et al., CVPR 2024) and
AstroLoc, in which every file's name holds 14 fields between ``@``.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.encoder import luminance
from onboard.errors import ImageError
from onboard.geodesy import EARTH_RADIUS_M, Array, azimuth_deg, distance_m, unit_from_latlon, wrap_lon_deg
from onboard.images import SUFFIXES, read_image

TABLE = "footprints.csv"
CORNERS = tuple(f"{axis}{number}" for number in (1, 2, 3, 4) for axis in ("lat", "lon"))
# Fields of a file name between its first and last @, as EarthLoc's README lists them.
NAME_FIELDS = (*CORNERS, "image_id", "timestamp", "nadir_lat", "nadir_lon", "sq_km_area", "orientation")


@dataclass(frozen=True, eq=False)
class Footprint:
    """A picture and its corners (4, 2), latitude and longitude in degrees: upper left, upper right, lower right, lower
    left of the picture. Any convex quadrilateral that is not larger than a hemisphere."""

    path: Path
    corners_deg: Array

    @property
    def centre(self) -> tuple[float, float]:
        """Latitude and longitude of the mean of the corners, on the sphere."""
        x, y, z = unit_from_latlon(self.corners_deg[:, 0], self.corners_deg[:, 1]).sum(0)
        return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)))

    def offsets_m(self, lat_deg: float, lon_deg: float) -> NDArray[np.float32]:
        """The corners (4, 2) in metres right (east) and down (south) of a place, azimuthal equidistant."""
        lat, lon = self.corners_deg.T
        way = distance_m(lat_deg, lon_deg, lat, lon)
        bearing = np.radians(azimuth_deg(lat_deg, lon_deg, lat, lon))
        return np.stack([way * np.sin(bearing), -way * np.cos(bearing)], 1).astype(np.float32)

    def area_m2(self) -> float:
        """Area of the quadrilateral around its centre."""
        return float(cv2.contourArea(self.offsets_m(*self.centre)))

    def overlap(self, other: "Footprint") -> float:
        """Intersection over union of two footprints; 0 when they do not touch."""
        lat, lon = self.centre
        if distance_m(lat, lon, *other.centre) > EARTH_RADIUS_M:  # the plane around one is no map of the other
            return 0.0
        mine, others = self.offsets_m(lat, lon), other.offsets_m(lat, lon)
        shared = float(cv2.intersectConvexConvex(mine, others)[0])
        return shared / (cv2.contourArea(mine) + cv2.contourArea(others) - shared)

    def north_up(self, span_m: float, size_px: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Grey values (size_px, size_px) of the square of side span_m around the centre, north up, and which of its
        pixels the picture shows. Raises ImageError when the file is not a picture."""
        rgb = read_image(self.path)
        height, width = rgb.shape[:2]
        gsd_m = span_m / size_px
        pixels = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
        ground = self.offsets_m(*self.centre) / gsd_m + (size_px - 1) / 2
        # Smaller first where the picture is finer than the view, so that nothing is aliased.
        factor = min(1.0, np.sqrt(cv2.contourArea(ground.astype(np.float32)) / (width * height)))
        small = (max(2, round(width * factor)), max(2, round(height * factor)))
        scale = np.array(small) / (width, height)
        rgb = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA)
        matrix = cv2.getPerspectiveTransform(
            ((pixels + 0.5) * scale - 0.5).astype(np.float32), ground.astype(np.float32)
        )
        grey = cv2.warpPerspective(luminance(rgb), matrix, (size_px, size_px))
        seen = cv2.warpPerspective(
            np.ones(rgb.shape[:2], np.uint8), matrix, (size_px, size_px), flags=cv2.INTER_NEAREST
        )
        return grey, seen > 0


def read_footprints(folder: Path) -> list[Footprint]:
    """The pictures of a folder, in order of name: of its footprints.csv (columns file, lat1, lon1 ... lat4, lon4) if
    there is one, else of file names. Raises ImageError naming the file and what is wrong with it."""
    if (folder / TABLE).exists():
        return _read_table(folder)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ImageError(f"{folder}: holds neither {TABLE} nor pictures with their corners in the names")
    return [from_name(path) for path in paths]


def from_name(path: Path) -> Footprint:
    """A picture named ``@lat1@lon1@...@orientation@.jpg`` (`NAME_FIELDS`); raises ImageError."""
    fields = path.name.split("@")
    if len(fields) != len(NAME_FIELDS) + 2 or fields[0] or fields[-1].lower() not in SUFFIXES:
        raise ImageError(
            f"{path}: its name is not of the form @{'@'.join(NAME_FIELDS)}@.jpg ({len(fields) - 2} fields between @, "
            f"{len(NAME_FIELDS)} are needed)"
        )
    return Footprint(path, _corners(path, dict(zip(NAME_FIELDS, fields[1:-1]))))


def _read_table(folder: Path) -> list[Footprint]:
    table = folder / TABLE
    with table.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = {"file", *CORNERS} - set(reader.fieldnames or ())
        if missing:
            raise ImageError(f"{table}: the columns {', '.join(sorted(missing))} are missing")
        return [Footprint(folder / row["file"], _corners(table, row, row["file"])) for row in reader]


def _corners(source: Path, row: dict[str, str], name: str = "") -> Array:
    where = f"{source}: {name}: " if name else f"{source}: "
    try:
        corners = np.array([float(row[field]) for field in CORNERS]).reshape(4, 2)
    except (ValueError, TypeError) as error:
        raise ImageError(f"{where}a corner is not a number ({error})") from error
    if not np.isfinite(corners).all() or np.abs(corners[:, 0]).max() > 90 or np.abs(corners[:, 1]).max() > 360:
        raise ImageError(f"{where}a corner is no latitude and longitude in degrees: {corners.tolist()}")
    corners[:, 1] = wrap_lon_deg(corners[:, 1])
    flat = Footprint(source, corners)
    if not cv2.isContourConvex(flat.offsets_m(*flat.centre)[:, None]) or flat.area_m2() < 1e6:
        raise ImageError(
            f"{where}its corners are no convex quadrilateral in order around the picture: {corners.tolist()}"
        )
    return corners
