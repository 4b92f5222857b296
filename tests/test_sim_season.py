"""Seasons: what is learned from other months, and what it does to a frame."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from sim_worlds import BARE, FormulaMosaic, NoOcean, WavyMosaic, small_camera

from onboard.geodesy import ecef_from_geodetic, ecef_from_nadir_camera, unit_from_latlon
from sim.errors import SimError
from sim.ground_change import changed
from sim.renderer import Renderer
from sim.season import MONTHS, SeasonFields, month_weights, recolour, season_of
from sim.season_learning import learn_season
from sim.view import PixelRays, look_at_earth

WINTER, AUGUST = MONTHS[-1], MONTHS[1]


def _view(lat, lon, camera=None):
    return look_at_earth(
        PixelRays.of(camera or small_camera(96, 72)),
        ecef_from_geodetic(lat, lon, 600e3),
        ecef_from_nadir_camera(lat, lon, 20.0),
        unit_from_latlon(lat * 0.5, lon),
    )


def _look(lat, lon, **changes):
    return replace(BARE, anchor_lat_deg=lat, anchor_lon_deg=lon, **changes)


def _grey(view, level=(60, 66, 40)):
    noise = np.random.default_rng(2).normal(1.0, 0.1, (*view.seen.shape, 1))
    return np.rint(noise * np.array(level)).astype(np.uint8)


@pytest.mark.parametrize("season", np.linspace(0, 1, 23).tolist())
def test_the_months_weigh_in_all_to_one_and_the_year_closes(season):
    weights = month_weights(season)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    np.testing.assert_allclose(month_weights(season + 1e-6), weights, atol=1e-4)
    np.testing.assert_allclose(month_weights(season - 1), weights, atol=1e-9)


def test_learned_months_are_themselves():
    for number, month in enumerate(MONTHS):
        np.testing.assert_allclose(month_weights(month), np.eye(len(MONTHS))[number], atol=1e-9)


def test_the_part_of_the_year():
    assert season_of(np.datetime64("2026-01-01T00:00:00", "us")) == 0
    assert season_of(np.datetime64("2024-07-02T00:00:00", "us")) == pytest.approx(0.5)  # leap year: day 184 of 366


def test_no_season_leaves_the_mosaic_and_august_hardly_touches_it():
    view = _view(55.0, 40.0)
    rgb = _grey(view)
    assert recolour(rgb, view, _look(55.0, 40.0)) is rgb
    np.testing.assert_allclose(recolour(rgb, view, _look(55.0, 40.0, season=AUGUST)), rgb, atol=1)


def test_winter_is_white_in_the_north_and_not_in_the_tropics():
    for lat, lon, low, high in ((62.0, 95.0, 0.5, 1.0), (8.0, 20.0, 0.0, 0.01), (-20.0, 130.0, 0.0, 0.01)):
        view = _view(lat, lon)
        white = recolour(_grey(view), view, _look(lat, lon, season=WINTER)).min(axis=-1) > 100
        assert low <= white.mean() <= high, (lat, lon)


def test_snow_thaws_from_winter_to_summer():
    view = _view(52.0, 60.0)
    white = [
        (recolour(_grey(view), view, _look(52.0, 60.0, season=season)).min(axis=-1) > 100).mean()
        for season in (0.1, 0.25, 0.35, 0.42, AUGUST)
    ]
    assert white == sorted(white, reverse=True) and white[0] > 0.5 and white[-1] == 0


def test_texture_stays_under_another_season():
    """Monsoon India turns from green to dry; what was darker stays darker."""
    view = _view(22.0, 78.0)
    rgb = _grey(view)
    dry = recolour(rgb, view, _look(22.0, 78.0, season=0.42))
    assert dry[..., 0].mean() > 1.1 * rgb[..., 0].mean()
    assert np.corrcoef(dry[..., 1].ravel(), rgb[..., 1].ravel())[0, 1] > 0.95


def test_the_antimeridian_is_no_edge():
    """Fields read on either side of it agree: Chukotka in winter."""
    view = _view(67.0, 180.0)
    bright = recolour(np.full((*view.seen.shape, 3), 60, np.uint8), view, _look(67.0, 180.0, season=WINTER))
    steps = np.abs(np.diff(bright.mean(axis=(0, 2))))  # from column to column; the middle one is the antimeridian
    assert steps[len(steps) // 2] < 3 * np.median(steps)
    lat, lon = np.full((1, 2), 67.0), np.array([[179.999, -179.999]])
    gain, snow = SeasonFields.load().at(WINTER, lat, lon)
    np.testing.assert_allclose(gain[0, 0], gain[0, 1], atol=2e-3)
    np.testing.assert_allclose(snow[0, 0], snow[0, 1], atol=2e-3)


def test_the_packaged_fields_are_small_and_whole():
    fields = SeasonFields.load()
    assert fields.log_gain.shape[0] == fields.snow.shape[0] == len(MONTHS)
    assert np.abs(fields.log_gain[1]).max() < 1e-6  # August against itself
    assert fields.snow[2].mean() > fields.snow[1].mean()


def test_a_missing_or_broken_field_file_is_named(tmp_path):
    with pytest.raises(SimError, match="learn-season"):
        SeasonFields.load(tmp_path / "none.npz")
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    with pytest.raises(SimError, match=r"broken\.npz"):
        SeasonFields.load(tmp_path / "broken.npz")


def test_learning_finds_what_was_put_in(tmp_path):
    """August grey everywhere; June half as bright again; December white north of 45 degrees."""
    height = 1350
    rows = 90 - (np.arange(height) + 0.5) * 180 / height
    june = np.full((height, 2 * height, 3), (60, 99, 135), np.uint8)  # OpenCV's order: blue first
    december = np.full_like(june, (40, 66, 90))
    december[rows > 45] = 210
    for name, picture in (("june.png", june), ("december.png", december)):
        assert cv2.imwrite(str(tmp_path / name), picture)
    out = tmp_path / "fields.npz"
    learn_season(FormulaMosaic(ground=(90, 66, 40)), tmp_path / "june.png", tmp_path / "december.png", out)
    fields = SeasonFields.load(out)
    expected = np.log([141 / 96, 105 / 72, 66 / 46])
    np.testing.assert_allclose(fields.log_gain[0].reshape(-1, 3).mean(axis=0), expected, atol=0.03)
    np.testing.assert_allclose(fields.log_gain[2][-20:].mean(), 0, atol=0.03)
    snow = fields.snow[2].mean(axis=1)
    assert snow[: len(snow) // 5].min() > 0.9 and snow[len(snow) // 2 :].max() == 0


def test_learning_refuses_what_is_no_globe(tmp_path):
    cv2.imwrite(str(tmp_path / "square.png"), np.zeros((1400, 1400, 3), np.uint8))
    with pytest.raises(SimError, match="twice as wide"):
        learn_season(FormulaMosaic(), tmp_path / "square.png", tmp_path / "square.png", tmp_path / "x.npz")


def test_changed_ground_keeps_snow_and_water_and_follows_its_strength():
    view = _view(10.0, 10.0)
    rgb = _grey(view)
    rgb[:20], rgb[-20:] = 240, 8
    assert changed(rgb, view, _look(10.0, 10.0)) is rgb
    weak, strong = (changed(rgb, view, _look(10.0, 10.0, ground_change=s)) for s in (0.05, 0.15))
    np.testing.assert_array_equal(strong[:20], rgb[:20])
    np.testing.assert_array_equal(strong[-20:], rgb[-20:])
    middle = np.s_[30:-30]
    change = [np.abs(p.astype(float) - rgb)[middle].mean() for p in (weak, strong)]
    assert 0 < change[0] < change[1]
    likeness = [np.corrcoef(p[middle].ravel(), rgb[middle].ravel())[0, 1] for p in (weak, strong)]
    assert likeness[0] > likeness[1]


def test_a_season_is_seen_in_the_frame():
    camera, (lat, lon) = small_camera(96, 72), (62.0, 95.0)
    renderer = Renderer(camera, WavyMosaic(), NoOcean())
    position, rotation = ecef_from_geodetic(lat, lon, 600e3), ecef_from_nadir_camera(lat, lon, 0.0)
    summer, winter = (
        renderer.render(
            position, rotation, unit_from_latlon(40, lon), _look(lat, lon, season=season), np.random.default_rng(0)
        )
        for season in (AUGUST, WINTER)
    )
    tint = [frame[..., 0].mean() / frame[..., 2].mean() for frame in (summer, winter)]
    assert tint[1] < 0.85 * tint[0]
