"""What a mosaic was read from: all files, not only the one that is named."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio

from index_builder import calibration, extraction
from index_builder.mosaic import Mosaic
from tests.rasters import numbered, write_raster

VRT = """<VRTDataset rasterXSize="200" rasterYSize="100"><SRS>EPSG:4326</SRS>
<GeoTransform>0,0.1,0,10,0,-0.1</GeoTransform><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename relativeToVRT="1">{}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>
</VRTDataset>"""


def marks(path: Path) -> tuple[str, list]:
    """By which work is gone on with, and what a pack says of its mosaic."""
    mosaic = Mosaic(path)
    return extraction._fingerprint(mosaic, (0.0, 10.0), 5000.0, None), mosaic.provenance()


def test_a_world_file_belongs_to_its_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with rasterio.open(path, "w", driver="PNG", dtype="uint8", count=3, width=200, height=100) as target:
        target.write(numbered(100, 200))
    (tmp_path / "a.png.aux.xml").write_text("<PAMDataset><SRS>EPSG:4326</SRS></PAMDataset>")
    (tmp_path / "a.pgw").write_text("0.1\n0\n0\n-0.1\n0.05\n9.95\n")
    before = marks(path)
    assert before == marks(path)
    assert {beside["file"] for beside in before[1][0]["with"]} == {"a.png.aux.xml", "a.pgw"}
    (tmp_path / "a.pgw").write_text("0.1\n0\n0\n-0.1\n50.05\n9.95\n")
    after = marks(path)
    assert after[0] != before[0] and after[1] != before[1]


def test_sources_belong_to_their_vrt(tmp_path: Path) -> None:
    source = tmp_path / "source.tif"
    (tmp_path / "inner.vrt").write_text(VRT.format("source.tif"))
    (tmp_path / "outer.vrt").write_text(VRT.format("inner.vrt"))
    write_raster(source, numbered(100, 200), (0, 0, 20, 10))
    before = marks(tmp_path / "outer.vrt")
    assert [beside["file"] for beside in before[1][0]["with"]] == ["inner.vrt", "source.tif"]
    write_raster(source, 255 - numbered(100, 200), (0, 0, 20, 10))
    after = marks(tmp_path / "outer.vrt")
    assert after[0] != before[0] and after[1] != before[1]


def test_a_file_alone_is_told_as_ever(tmp_path: Path) -> None:
    """Packs that were built of it can be calibrated anew."""
    path = write_raster(tmp_path / "a.tif", numbered(100, 200), (0, 0, 20, 10))
    (entry,) = Mosaic(path).provenance()
    assert list(entry) == ["file", "bytes", "sha256"] and entry["bytes"] == path.stat().st_size


def test_a_file_placed_elsewhere_is_another(tmp_path: Path) -> None:
    """Even of the same size and time."""
    path = write_raster(tmp_path / "a.tif", numbered(100, 200), (0, 0, 20, 10))
    before, status = marks(path)[0], path.stat()
    write_raster(path, numbered(100, 200), (50, 0, 70, 10))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size and marks(path)[0] != before


def test_other_code_goes_on_with_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.full((1, 9, 9), 3, np.uint8), (0, 0, 9, 9))
    before = marks(path)[0], calibration._fingerprint(pack, 0)
    for module in (extraction, calibration):
        monkeypatch.setattr(module, "code_sha256", lambda *packages: "another")
    after = marks(path)[0], calibration._fingerprint(pack, 0)
    assert before[0] != after[0] and before[1] != after[1]
