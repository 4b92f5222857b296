"""`nadir index georeference`: what it writes `nadir index build` reads, and what that would refuse it refuses."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from index_builder.georeference import georeference
from index_builder.mosaic import Mosaic
from onboard import MosaicError

WORLD = (-180.0, -90.0, 180.0, 90.0)

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def write_png(path: Path, bands: np.ndarray, colours: dict | None = None, **profile: object) -> Path:
    count, height, width = bands.shape
    size = {"dtype": bands.dtype, "count": count, "height": height, "width": width}
    with rasterio.open(path, "w", driver="PNG", **size, **profile) as target:
        target.write(bands)
        if colours:
            target.write_colormap(1, colours)
    return path


@pytest.mark.parametrize(
    ("bands", "says"),
    [
        (np.ones((1, 8, 16), np.uint16), "has 1 bands of uint16; 1, 3 or 4"),
        (np.ones((2, 8, 16), np.uint8), "has 2 bands of uint8; 1, 3 or 4"),
    ],
)
def test_what_a_build_refuses_is_refused(tmp_path: Path, bands: np.ndarray, says: str) -> None:
    picture, out = write_png(tmp_path / "a.png", bands), tmp_path / "out.tif"
    with pytest.raises(MosaicError, match=rf"a\.png: {says}"):
        georeference(picture, WORLD, out)
    assert not out.exists()


@pytest.mark.parametrize("out", [".", "/"])
def test_a_directory_is_no_name_to_write(tmp_path: Path, out: str) -> None:
    picture = write_png(tmp_path / "a.png", np.ones((3, 8, 16), np.uint8))
    with pytest.raises(MosaicError, match="is a directory"):
        georeference(picture, WORLD, Path(out))


@pytest.mark.parametrize("how", ["palette", "nodata", "grey nodata"])
def test_holes_stay_holes(tmp_path: Path, how: str) -> None:
    bands = np.full((3 if how == "nodata" else 1, 32, 64), 7, np.uint8)
    bands[:, :, :32] = 0
    if how == "palette":
        picture = write_png(tmp_path / "a.png", bands, {0: (1, 2, 3, 0), 7: (164, 135, 101, 255)})
    else:
        picture = write_png(tmp_path / "a.png", bands, nodata=0)
    georeference(picture, WORLD, tmp_path / "out.tif")
    rgb, valid = Mosaic(tmp_path / "out.tif").sample(np.zeros((1, 2)), np.array([[-90.0, 90.0]]), 600e3)
    assert valid.tolist() == [[False, True]]
    assert rgb[0, 1].tolist() == ([164, 135, 101] if how == "palette" else [7, 7, 7])
