"""Gives a picture of known bounds its georeference: an EPSG:4326 GeoTIFF with overviews."""

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import from_bounds

from index_builder.north_up import check_bands, open_raster
from index_builder.raster_blocks import raster_is_whole
from onboard.errors import MosaicError
from onboard.whole_file import whole


def georeference(picture: Path, bounds_deg: tuple[float, float, float, float], out: Path) -> None:
    """Write ``picture``, north up and equirectangular over (west, south, east, north) degrees, as a tiled GeoTIFF."""
    west, south, east, north = bounds_deg
    if not (west < east <= west + 360 and -90 <= south < north <= 90):
        raise MosaicError(f"bounds {bounds_deg}: must be WEST < EAST and -90 <= SOUTH < NORTH <= 90")
    if out.is_dir():
        raise MosaicError(f"{out}: is a directory; name a file to write, such as OUT.tif")
    with open_raster(picture) as source:
        check_bands(source)
        try:
            bands = _colours(source)
        except RasterioError as error:
            raise MosaicError(f"{picture}: damaged ({error})") from error
    count, height, width = bands.shape
    profile = {
        "driver": "GTiff", "dtype": bands.dtype, "count": count, "width": width, "height": height,
        "crs": "EPSG:4326", "transform": from_bounds(west, south, east, north, width, height),
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    try:
        with whole(out) as part, rasterio.open(part, "w", **profile) as target:
            target.write(bands)
            target.build_overviews([2, 4, 8, 16], Resampling.average)
    except (RasterioError, OSError) as error:
        raise MosaicError(f"{out}: cannot be written ({error})") from error


def _colours(source: DatasetReader) -> NDArray[np.uint8]:
    """Bands (C, H, W) of grey or RGB, a palette's numbers looked up; RGB and alpha if some pixels hold no data."""
    bands = source.read()
    held = None if raster_is_whole(source) else source.dataset_mask()
    if source.colorinterp[0] is ColorInterp.palette:
        palette = np.zeros((256, 4), np.uint8)
        for number, colour in source.colormap(1).items():
            palette[number] = colour
        *rgb, alpha = np.moveaxis(palette[bands[0]], -1, 0)
        bands = np.stack(rgb)
        if alpha.min() < 255:
            held = alpha if held is None else np.minimum(held, alpha)
    if held is None:
        return bands
    rgb = np.broadcast_to(bands[:3] if len(bands) >= 3 else bands, (3, *held.shape))
    return np.concatenate([rgb, held[None]])
