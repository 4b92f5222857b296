"""Small rasters for tests."""

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine, from_bounds


def write_raster(
    path: Path,
    bands: NDArray,
    placed: Affine | tuple[float, float, float, float],
    crs: object = "EPSG:4326",
    mask: NDArray | None = None,
    **profile: object,
) -> Path:
    """A GeoTIFF of bands (C, H, W), placed by its transform or its bounds; mask: (H, W), inside the file."""
    count, height, width = bands.shape
    transform = placed if isinstance(placed, Affine) else from_bounds(*placed, width, height)
    size = {"dtype": bands.dtype, "count": count, "height": height, "width": width}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **size, **profile) as target,
    ):
        target.write(bands)
        if mask is not None:
            target.write_mask(mask)
    return path


def numbered(height: int, width: int) -> NDArray[np.uint8]:
    """Bands (3, H, W) that tell the pixel: red is the column, green the row, and blue 200."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, 200)]).astype(np.uint8)
