"""The global code's view, the cell table and its search."""

import numpy as np
import pytest

from onboard.cells import CellTable, tile_band
from onboard.encoder import CELL_REACH, Encoder, frame_codes, luminance, moves_m, network_view, turned
from onboard.errors import PackError
from onboard.geodesy import EARTH_RADIUS_M, destination, distance_m, unit_from_latlon

SPAN_M, SIZE, GSD_M = 300e3, 96, 1500.0


def ground(right_m: np.ndarray, down_m: np.ndarray) -> np.ndarray:
    """A smooth made-up landscape, RGB uint8."""
    waves = [(2.1, 0.7, 41e3), (0.4, -1.9, 57e3), (1.3, 1.1, 83e3), (-0.8, 0.3, 33e3)]
    height = sum(np.sin(2 * np.pi * (a * right_m + b * down_m) / scale + scale) for a, b, scale in waves)
    return np.clip(120 + 25 * height[..., None] * [1.0, 0.9, 0.5], 0, 255).astype(np.uint8)


def picture(heading_deg: float, pixels: int = 220, gsd_m: float = GSD_M, centre: float | None = None) -> np.ndarray:
    """The landscape seen with image up towards heading_deg."""
    at = (np.arange(pixels) - ((pixels - 1) / 2 if centre is None else centre)) * gsd_m
    right, down = np.meshgrid(at, at)
    cos, sin = np.cos(np.radians(heading_deg)), np.sin(np.radians(heading_deg))
    # Image up (-down) at heading h: east = right cos h - down sin h, south = right sin h + down cos h.
    return ground(right * cos - down * sin, right * sin + down * cos)


def view(heading_deg: float = 0.0, pixels: int = 220, gsd_m: float = GSD_M) -> np.ndarray:
    mask = np.ones((pixels, pixels), bool)
    centre = (pixels - 1) / 2
    return network_view(picture(heading_deg, pixels, gsd_m), mask, gsd_m, (centre, centre), SPAN_M, SIZE)


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def test_luminance_is_float_and_takes_haze_off() -> None:
    grey = luminance(np.array([[[100, 50, 200], [10, 0, 255]]], np.uint8))
    assert grey.dtype == np.float32
    np.testing.assert_allclose(grey, [[70.0, -63.5]], rtol=1e-5)


def test_a_view_has_its_shape_and_an_even_contrast() -> None:
    seen = view()
    assert seen.shape == (1, SIZE, SIZE) and seen.dtype == np.float32
    assert abs(float(seen.mean())) < 0.05 and 0.5 < float(seen[seen != 0].std()) < 1.5
    assert np.all(seen[0, :5, :5] == 0), "outside the disc"


@pytest.mark.parametrize("step", [1, 4, 9])
def test_turning_a_frame_by_its_heading_gives_the_map_view(step: int) -> None:
    north_up = view()
    frame = view(heading_deg=step * 30.0)
    scores = [agreement(north_up, row) for row in turned(frame, 12)]
    assert int(np.argmax(scores)) == step
    assert scores[step] > 0.97


def test_the_view_does_not_depend_on_the_sampling_of_the_picture() -> None:
    assert agreement(view(), view(pixels=400, gsd_m=830.0)) > 0.98


def test_the_view_follows_the_nadir_to_a_fraction_of_a_pixel() -> None:
    mask = np.ones((260, 260), bool)
    shifted = network_view(picture(0.0, 260, centre=140.3), mask, GSD_M, (140.3, 140.3), SPAN_M, SIZE)
    assert agreement(view(), shifted) > 0.985


@pytest.mark.parametrize(("spacing_m", "reach_m"), [(100e3, 12.5e3), (50e3, 30e3), (100e3, 9e3), (20e3, np.inf)])
def test_moves_reach_all_that_is_nearest_to_a_cell(spacing_m: float, reach_m: float) -> None:
    moves = moves_m(spacing_m, reach_m)
    assert len(np.unique(moves, axis=0)) == len(moves) and np.allclose(moves.mean(axis=0), 0)
    rng = np.random.default_rng(0)
    # What is nearest to a cell lies in a disc around it that is seen turned by the camera's heading.
    way, angle = CELL_REACH * spacing_m * np.sqrt(rng.uniform(0, 1, 2000)), rng.uniform(0, 2 * np.pi, 2000)
    cell = np.column_stack([way * np.cos(angle), way * np.sin(angle)])
    apart = np.linalg.norm(cell[:, None] - moves, axis=2).min(axis=1)
    assert apart.max() < 2 * min(reach_m, CELL_REACH * spacing_m) and np.quantile(apart, 0.9) < 1.3 * reach_m


def test_a_frame_is_looked_at_around_every_move_at_every_turn() -> None:
    class Views:
        span_m, size, dim, turns, reach_m = 150e3, 48, 48 * 48, 12, 12.5e3

        def encode(self, views: np.ndarray) -> np.ndarray:
            return views.reshape(len(views), -1)

    moves, spacing_m = moves_m(100e3, Views.reach_m), 100e3
    mask, centre = np.ones((220, 220), bool), (109.5, 109.5)
    codes = frame_codes(Views(), luminance(picture(60.0)), mask, GSD_M, centre, spacing_m)
    assert codes.shape == (len(moves) * Views.turns, Views.dim)
    # The frame's up direction is 60 degrees; what it shows around a move is where north up has it.
    number = int(np.flatnonzero((moves == (25e3, -50e3)).all(axis=1))[0])
    cos, sin = np.cos(np.radians(60)), np.sin(np.radians(60))
    east_m, south_m = 25e3 * cos + 50e3 * sin, 25e3 * sin - 50e3 * cos
    there = (109.5 + east_m / GSD_M, 109.5 + south_m / GSD_M)
    north_up = network_view(picture(0.0), mask, GSD_M, there, Views.span_m, Views.size)
    best = int((codes @ north_up.ravel()).argmax())
    assert divmod(best, Views.turns) == (number, 2)


def test_light_and_haze_leave_the_view_alone() -> None:
    rgb, mask = picture(0.0).astype(float), np.ones((220, 220), bool)
    hazy = (rgb * 0.5 + 90).astype(np.uint8)
    seen = network_view(hazy, mask, GSD_M, (109.5, 109.5), SPAN_M, SIZE)
    assert agreement(view(), seen) > 0.98


def test_what_the_mask_hides_is_zero_and_does_not_bleed() -> None:
    mask = np.ones((220, 220), bool)
    mask[:, :70] = False
    dirty = picture(0.0)
    dirty[:, :70] = 255
    clean = network_view(picture(0.0), mask, GSD_M, (109.5, 109.5), SPAN_M, SIZE)
    np.testing.assert_allclose(network_view(dirty, mask, GSD_M, (109.5, 109.5), SPAN_M, SIZE), clean, atol=1e-5)
    assert np.all(clean[0, :, :25] == 0)


def test_a_black_or_unseen_picture_gives_a_finite_view() -> None:
    black = np.zeros((220, 220, 3), np.uint8)
    for mask in (np.ones((220, 220), bool), np.zeros((220, 220), bool)):
        seen = network_view(black, mask, GSD_M, (109.5, 109.5), SPAN_M, SIZE)
        assert np.all(np.isfinite(seen)) and np.abs(seen).max() < 1e-3


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x07\x12\x04abcd"])
def test_an_unreadable_network_is_named(content: bytes, tmp_path) -> None:
    with pytest.raises(PackError, match="not a network"):
        Encoder(content)
    path = tmp_path / "encoder.onnx"
    path.write_bytes(content)
    with pytest.raises(PackError, match=r"encoder\.onnx"):
        Encoder(path)


def test_a_missing_network_is_named(tmp_path) -> None:
    with pytest.raises(PackError, match=r"absent\.onnx"):
        Encoder(tmp_path / "absent.onnx")


@pytest.mark.parametrize("band", [(-56.0, 56.0), (60.0, 90.0), (-90.0, 90.0)])
def test_cells_are_of_equal_area(band: tuple[float, float]) -> None:
    lat, lon = tile_band(band, 100e3)
    south, north = np.radians(band)
    mean_m2 = 2 * np.pi * EARTH_RADIUS_M**2 * (np.sin(north) - np.sin(south)) / len(lat)
    assert mean_m2 == pytest.approx(100e3**2, rel=0.02)
    rows, counts = np.unique(lat, return_counts=True)
    height = np.radians(band[1] - band[0]) / len(rows)
    areas = 2 * np.pi * EARTH_RADIUS_M**2 * 2 * np.sin(height / 2) * np.cos(np.radians(rows)) / counts
    usual = np.abs(rows) < 85  # a whole number of cells cannot fill the last row around a pole
    np.testing.assert_allclose(areas[usual], 100e3**2, rtol=0.05)
    assert lon.min() >= -180 and lon.max() < 180.0 + 1e-9


def test_every_place_of_the_band_is_near_a_cell_antimeridian_included() -> None:
    lat, lon = tile_band((-56, 56), 100e3)
    cells = unit_from_latlon(lat, lon)
    rng = np.random.default_rng(0)
    places_lat = np.degrees(np.arcsin(rng.uniform(-0.82, 0.82, 1500)))
    places_lon = np.concatenate([rng.uniform(-180, 180, 1000), 180 + rng.uniform(-1, 1, 500)])
    cosine = (unit_from_latlon(places_lat, places_lon) @ cells.T).max(axis=1)
    assert (np.arccos(np.clip(cosine, -1, 1)) * EARTH_RADIUS_M).max() < 80e3


class Painted:
    """A mosaic of the made-up landscape all over the Earth, the same across the antimeridian."""

    def sample(self, lat_deg: np.ndarray, lon_deg: np.ndarray, gsd_m: float) -> tuple[np.ndarray, np.ndarray]:
        x, y, z = np.moveaxis(unit_from_latlon(lat_deg, lon_deg) * EARTH_RADIUS_M, -1, 0)
        return ground(x + 0.5 * z, y - 0.5 * z), np.ones(lat_deg.shape, bool)


class Averaging:
    """Stands in for a network: the view in 8 x 8 blocks."""

    span_m, size, dim, turns = SPAN_M, SIZE, 144, 12

    def encode(self, views: np.ndarray) -> np.ndarray:
        codes = views.reshape(len(views), 12, 8, 12, 8).mean(axis=(2, 4)).reshape(len(views), -1)
        return (codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-9)).astype(np.float32)


@pytest.fixture(scope="module")
def painted_cells() -> CellTable:
    cells = pytest.importorskip("index_builder.cells")
    steps: list[tuple[int, int]] = []
    table = cells.build_cells(Painted(), Averaging(), (67.0, 69.0), 60e3, lambda done, of: steps.append((done, of)))
    assert steps[-1][0] == steps[-1][1]
    return table


@pytest.mark.parametrize("place", [(68.0, 179.99), (68.0, -179.9), (67.5, 100.0)])
def test_built_cells_find_a_look_at_their_place(place: tuple[float, float], painted_cells: CellTable) -> None:
    cells, table = pytest.importorskip("index_builder.cells"), painted_cells
    nearest = int(np.argmin(distance_m(table.lat_deg, table.lon_deg, *place)))
    lat, lon = float(table.lat_deg[nearest]), float(table.lon_deg[nearest])
    at = (np.arange(128) - 63.5) * SPAN_M / 128
    right, down = np.meshgrid(at, at)
    grid = destination(lat, lon, np.degrees(np.arctan2(right, -down)), np.hypot(right, down))
    rgb, valid = Painted().sample(*grid, SPAN_M / 128)
    rgb[~cells.is_land(*grid)] = cells.WATER_RGB
    code = Averaging().encode(network_view(rgb, valid, SPAN_M / 128, (63.5, 63.5), SPAN_M, SIZE)[None])[0]
    likeness = table.codes @ code * table.scale
    assert likeness.argmax() == nearest and likeness.max() > 0.95


def test_a_band_without_land_is_refused() -> None:
    cells = pytest.importorskip("index_builder.cells")
    from onboard.errors import MosaicError

    with pytest.raises(MosaicError, match="no land"):
        cells.build_cells(Painted(), Averaging(), (-58.5, -57.5), 60e3)
