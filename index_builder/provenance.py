"""What a result was made of: every file that is read with a raster, and the program itself."""

import hashlib
from pathlib import Path

from rasterio.io import DatasetReader

import onboard
from index_builder.north_up import open_raster
from onboard.errors import MosaicError

_BLOCK_BYTES = 1 << 20


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


def entry_of(path: Path) -> dict[str, object]:
    """Name, size and SHA-256 of a file, for the manifest."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(_BLOCK_BYTES), b""):
            digest.update(block)
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def code_sha256() -> str:
    """SHA-256 of all code that a pack depends on: what was kept of an older program's work is not gone on with."""
    folders = Path(onboard.__file__).parent, Path(__file__).parent
    files = [path for folder in folders for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
