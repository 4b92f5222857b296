"""Blocks of a raster put together again, against the raster itself; rows and columns reduced apart."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_bounds

from index_builder.mosaic import Mosaic
from index_builder.raster_blocks import Level, RasterBlocks

HEIGHT, WIDTH = 900, 1800  # 0.2 degrees a pixel


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A global raster of noise, and its pixels."""
    rgb = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    path = tmp_path_factory.mktemp("raster") / "world.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=WIDTH, height=HEIGHT, count=3, dtype="uint8", crs="EPSG:4326",
        transform=from_bounds(-180, -90, 180, 90, WIDTH, HEIGHT),
    ) as target:  # fmt: skip
        target.write(np.moveaxis(rgb, -1, 0))
    return path, rgb


@pytest.mark.parametrize("window", [(0, 0, 1800, 900), (500, 500, 530, 520), (-40, 10, 70, 700), (1790, 0, 1900, 9)])
def test_windows_are_the_raster_over_the_antimeridian_too(world, window):
    path, rgb = world
    x0, y0, x1, y1 = window
    with rasterio.open(path) as raster:
        got = RasterBlocks().window(Level(raster, 1, 1), x0, y0, x1, y1)
    np.testing.assert_array_equal(got, rgb[y0:y1][:, np.arange(x0, x1) % WIDTH])


def test_rows_and_columns_are_averaged_apart(world):
    path, rgb = world
    with rasterio.open(path) as raster:
        got = RasterBlocks().window(Level(raster, 2, 8), 0, 0, WIDTH // 8, HEIGHT // 2)
    mean = rgb.reshape(HEIGHT // 2, 2, WIDTH // 8, 8, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(got, mean, atol=0.51)


def test_a_full_cache_forgets_and_still_answers_right(world):
    path, rgb = world
    with rasterio.open(path) as raster:
        blocks = RasterBlocks(cache_bytes=1 << 20)  # one block and a third
        for x in (0, 600, 1200, 0):
            np.testing.assert_array_equal(blocks.window(Level(raster, 1, 1), x, 0, x + 9, 9), rgb[:9, x : x + 9])
        assert blocks.cached_bytes <= 1 << 20


@pytest.mark.parametrize(("lat", "columns"), [(0.0, 1), (-59.0, 1), (65.0, 2), (-78.0, 4), (85.0, 8)])
def test_meridians_that_draw_together_are_averaged_together(world, lat, columns):
    """Up to 60 degrees of latitude as at the equator; nearer to a pole as many columns as make a pixel wide again."""
    path, rgb = world
    row = int((90 - lat) / 0.2)
    centre = 90 - (row + 0.5) * 0.2
    first = 640
    lon = -180 + (first + columns / 2) * 0.2
    mosaic = Mosaic(path)
    got, covered = mosaic.sample(np.full((1, 1), centre), np.full((1, 1), lon), mosaic.gsd_m)
    assert covered.all()
    np.testing.assert_allclose(got[0, 0], rgb[row, first : first + columns].mean(axis=0), atol=1.01)
