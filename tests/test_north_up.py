"""Rasters in other coordinates than north-up WGS84: each of their pixels where it is on Earth, and nothing beside."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform

from index_builder.mosaic import Mosaic
from onboard import MosaicError
from tests.rasters import numbered, write_raster

UTM32 = from_origin(400e3, 5400e3, 1000, 1000)


def colours_at_pixels(path: Path, columns: list[int], rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """What a mosaic shows, (N, 3), and whether anything, (N,), at the centres of pixels of the file itself."""
    with rasterio.open(path) as raster:
        x, y = raster.xy(rows, columns)
        lon, lat = transform(raster.crs, "EPSG:4326", x, y)
    mosaic = Mosaic(path)
    rgb, valid = mosaic.sample(np.array(lat)[None], np.array(lon)[None], mosaic.gsd_m)
    return rgb[0].astype(int), valid[0]


@pytest.mark.parametrize("how", ["mask", "alpha", "nodata"])
def test_what_a_projected_raster_does_not_show_is_no_map(tmp_path: Path, how: str) -> None:
    picture, held = np.full((3, 200, 200), 100, np.uint8), np.full((200, 200), 255, np.uint8)
    held[:, :100] = 0
    given: dict = {"mask": held} if how == "mask" else {"nodata": 7} if how == "nodata" else {}
    if how == "alpha":
        picture = np.concatenate([picture, held[None]])
    if how == "nodata":
        picture[:, held == 0] = 7
    path = write_raster(tmp_path / "utm.tif", picture, UTM32, "EPSG:32632", **given)
    rgb, valid = colours_at_pixels(path, [50, 150, 190], [100, 100, 10])
    assert valid.tolist() == [False, True, True] and (rgb[1:] == 100).all()
    raster = Mosaic(path)._layers[0].raster  # turned against the meridians, so that its corners are empty
    west, _, _, north = raster.bounds
    assert not Mosaic(path).sample(np.array([[north - 0.01]]), np.array([[west + 0.01]]), 1e3)[1].any()


@pytest.mark.parametrize(
    ("crs", "placed", "gsd_m"),
    [
        ("EPSG:32660", from_origin(500e3, 5400e3, 1000, 1000), 1000),  # over the antimeridian
        ("EPSG:3413", from_origin(-250e3, 200e3, 2000, 2000), 2000),  # the pole inside
        ("EPSG:3031", from_origin(-250e3, 200e3, 2000, 2000), 2000),
        ("EPSG:4807", Affine(0.1, 0, -5, 0, -0.1, 55), 10007),  # grads from Paris
        ("EPSG:4326", Affine(-0.1, 0, 20, 0, -0.1, 55), 11120),  # mirrored
        ("EPSG:4326", Affine(0.1, 0, 0, 0, 0.1, -55), 11120),  # south up
        ("EPSG:4326", Affine(0.1, 0, 0, 0.05, -0.1, 5), 12432),  # sheared
        ("EPSG:4326", Affine(0.1, 0, 170, 0, -0.1, 5), 11120),
        ("+proj=eqc +lat_ts=0", from_origin(0, 5e6, 1000, 1000), 1000),
    ],
)
def test_every_pixel_is_where_it_is_on_earth(tmp_path: Path, crs: str, placed: Affine, gsd_m: float) -> None:
    path = write_raster(tmp_path / "raster.tif", numbered(200, 250), placed, CRS.from_string(crs))
    columns, rows = [10, 60, 100, 125, 150, 200, 240], [100, 20, 101, 100, 150, 60, 190]
    rgb, valid = colours_at_pixels(path, columns, rows)
    assert valid.all()
    assert np.abs(rgb[:, :2] - np.stack([columns, rows], axis=1)).max() <= 1
    assert Mosaic(path).gsd_m == pytest.approx(gsd_m, rel=0.05)


def test_a_projection_of_all_the_earth_closes_on_itself(tmp_path: Path) -> None:
    edge = 20037508.342789244
    path = write_raster(tmp_path / "mercator.tif", numbered(240, 240), (-edge, -edge, edge, edge), "EPSG:3857")
    lon = np.array([[179.99, -179.99, 0.0]])
    rgb, valid = Mosaic(path).sample(np.zeros((1, 3)), lon, 150e3)
    assert valid.all() and Mosaic(path)._layers[0].wraps
    assert abs(int(rgb[0, 2, 0]) - 119) <= 1


@pytest.mark.parametrize("crs", ["EPSG:4326", "OGC:CRS84", "EPSG:4258", "+proj=longlat +datum=WGS84 +no_defs"])
def test_names_of_one_and_the_same_are_not_warped(tmp_path: Path, crs: str) -> None:
    layer = Mosaic(write_raster(tmp_path / "a.tif", numbered(20, 30), (0, 40, 3, 42), CRS.from_string(crs)))._layers[0]
    assert layer.raster is layer.source


def test_other_bodies_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number, crs in enumerate(("+proj=longlat +R=1737400 +no_defs", "+proj=eqc +R=3396190")):
        path = write_raster(tmp_path / f"{number}.tif", numbered(20, 30), (0, 40, 3, 42), CRS.from_string(crs))
        with pytest.raises(MosaicError, match=r"\.tif: .*another body"):
            Mosaic(path)
    assert not capfd.readouterr().err


def test_a_disk_seen_from_afar_is_refused_with_advice(tmp_path: Path) -> None:
    crs = CRS.from_string("+proj=geos +h=35785831 +lon_0=140")
    path = write_raster(tmp_path / "disk.tif", numbered(100, 100), (-5.5e6, -5.5e6, 5.5e6, 5.5e6), crs)
    with pytest.raises(MosaicError, match=r"disk\.tif: .*gdalwarp -t_srs EPSG:4326"):
        Mosaic(path)
