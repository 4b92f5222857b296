"""Raster files, and how they look north up in latitude and longitude (WGS84): as they are, or warped on the fly."""

import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError  # what `rasterio.warp` lets through of GDAL's errors
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import from_origin, xy
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform, transform_bounds

from onboard.errors import MosaicError
from onboard.geodesy import EARTH_RADIUS_M, distance_m, wrap_lon_deg

METRES_PER_DEGREE = np.pi / 180 * EARTH_RADIUS_M
_WGS84 = CRS.from_epsg(4326)
_SAME_DEG = 1e-6  # a tenth of a metre


def open_raster(path: Path) -> DatasetReader:
    """A raster, with or without a georeference. Raises MosaicError for what GDAL cannot read."""
    if not path.exists():
        raise MosaicError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # refused elsewhere, in our own words
            return rasterio.open(path)
    except RasterioError as error:
        raise MosaicError(f"{path}: not a raster that GDAL can read ({error})") from error


def check_bands(raster: DatasetReader) -> None:
    """Raise MosaicError for a raster that has not 1, 3 or 4 byte bands."""
    if raster.count not in (1, 3, 4) or raster.dtypes[0] != "uint8":
        raise MosaicError(
            f"{raster.name}: has {raster.count} bands of {raster.dtypes[0]}; 1, 3 or 4 (RGBA) bands of uint8 are needed"
        )


def north_up(raster: DatasetReader) -> DatasetReader | WarpedVRT:
    """A georeferenced raster as one in degrees of WGS84, rows from north to south, columns from west to east, over the
    antimeridian beyond 180 degrees. Raises MosaicError where GDAL knows no way from its coordinates to WGS84."""
    try:
        with rasterio.Env():  # GDAL's errors are raised, not printed
            if _is_north_up(raster):
                return raster
            grid = _grid(raster)
    except (CPLE_BaseError, CRSError) as error:
        raise MosaicError(
            f"{raster.name}: no way is known from its coordinates to WGS84's: is it a map of another body? "
            f"({raster.crs.to_string()[:100]})"
        ) from error
    # Beside a warped picture lies what it does not show; a mask of the picture's goes into the same band.
    bare = raster.nodata is None and ColorInterp.alpha not in raster.colorinterp
    return WarpedVRT(raster, crs=_WGS84, resampling=Resampling.bilinear, add_alpha=bare, **grid)


def _is_north_up(raster: DatasetReader) -> bool:
    """Whether the raster's coordinates are WGS84's, by whatever name, and neither turned nor mirrored."""
    to_crs = raster.transform
    if not raster.crs.is_geographic:
        return False
    inside = np.array([0.25, 0.5, 0.75])
    x, y = xy(to_crs, raster.height * inside, raster.width * inside, offset="ul")
    lon, lat = transform(raster.crs, _WGS84, x, y)
    same = np.abs([wrap_lon_deg(np.subtract(lon, x)), np.subtract(lat, y)]).max() < _SAME_DEG
    return bool(same) and to_crs.b == 0 == to_crs.d and to_crs.a > 0 > to_crs.e


def _grid(raster: DatasetReader) -> dict[str, object]:
    """The grid to warp a raster to: all that it covers, with pixels as large on the ground as its own are at its
    centre. GDAL's own choice is crushed where a raster lies over the antimeridian or a pole."""
    to_crs, width, height = raster.transform, raster.width, raster.height
    centre = xy(to_crs, height / 2 + np.array([0, 0, 1]), width / 2 + np.array([0, 1, 0]), offset="ul")
    lon, lat = transform(raster.crs, _WGS84, *centre)
    pixel_m = float(np.max(distance_m(lat[0], lon[0], lat[1:], lon[1:])))
    x, y = xy(to_crs, [0, 0, height, height], [0, width, 0, width], offset="ul")
    edges = transform_bounds(raster.crs, _WGS84, min(x), min(y), max(x), max(y))
    if not np.isfinite([pixel_m, *edges]).all():
        raise MosaicError(
            f"{raster.name}: where its edges lie in latitude and longitude cannot be told; warp it yourself: "
            f"gdalwarp -t_srs EPSG:4326 -te WEST SOUTH EAST NORTH {raster.name} OUT.tif"
        )
    # A whole number of pixels around the Earth: what spans it closes on itself.
    around = max(1, round(360.0 * METRES_PER_DEGREE / pixel_m))
    step_deg = 360.0 / around
    west, south, east, north = edges
    if east - west < step_deg / 2:  # over the antimeridian, or once around
        east += 360.0
    columns, rows = ((far - near) / step_deg for near, far in ((west, east), (south, north)))
    return {
        "transform": from_origin(west, north, step_deg, step_deg),
        "width": min(around, int(np.ceil(columns - 1e-6))),
        "height": int(np.ceil(rows - 1e-6)),
    }
