"""What a result was made of: every file that is read with a raster, and the program itself."""

from pathlib import Path

from rasterio.io import DatasetReader

from index_builder.north_up import open_raster
from onboard.errors import MosaicError

CODE = ("onboard", "index_builder")  # what a pack depends on: nothing kept of an older program's work is gone on with


def files_beside(raster: DatasetReader) -> list[Path]:
    """What GDAL reads with a raster's own file: world file, .aux.xml, mask and overviews, a VRT's sources and what is
    read with those. Sources that are not on this disk are left out."""
    found = {Path(raster.name): None}  # in order
    to_ask = list(found)
    while to_ask:
        try:
            with open_raster(to_ask.pop(0)) as one:
                new = [path for path in map(Path, one.files) if path not in found and path.is_file()]
        except MosaicError:
            continue  # no raster, but text that says something of one
        found.update(dict.fromkeys(new))
        to_ask += new
    return list(found)[1:]
