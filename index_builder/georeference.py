"""Gives a picture of known bounds its georeference: an EPSG:4326 GeoTIFF with overviews."""

import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import from_bounds

from onboard.errors import MosaicError
from onboard.whole_file import whole


def georeference(picture: Path, bounds_deg: tuple[float, float, float, float], out: Path) -> None:
    """Write ``picture``, north up and equirectangular over (west, south, east, north) degrees, as a tiled GeoTIFF."""
    west, south, east, north = bounds_deg
    if not (west < east <= west + 360 and -90 <= south < north <= 90):
        raise MosaicError(f"bounds {bounds_deg}: must be WEST < EAST and -90 <= SOUTH < NORTH <= 90")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(picture) as source:
                data = source.read()
                if source.colorinterp[0] is ColorInterp.palette:
                    colours = np.zeros((256, 3), np.uint8)
                    for number, colour in source.colormap(1).items():
                        colours[number] = colour[:3]
                    data = np.moveaxis(colours[data[0]], -1, 0)
    except RasterioError as error:
        raise MosaicError(f"{picture}: not a picture that GDAL can read ({error})") from error
    count, height, width = data.shape
    profile = {
        "driver": "GTiff", "dtype": data.dtype, "count": count, "width": width, "height": height,
        "crs": "EPSG:4326", "transform": from_bounds(west, south, east, north, width, height),
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate",
    }  # fmt: skip
    try:
        with whole(out) as part, rasterio.open(part, "w", **profile) as target:
            target.write(data)
            target.build_overviews([2, 4, 8, 16], Resampling.average)
    except (RasterioError, OSError) as error:
        raise MosaicError(f"{out}: cannot be written ({error})") from error
    finally:
        part.unlink(missing_ok=True)
