"""The renderer against the camera model and pyproj, and against what a camera can and cannot see."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.transform import from_bounds
from sim_worlds import BARE, FormulaMosaic, NoOcean, WavyMosaic, small_camera

from index_builder.mosaic import Mosaic
from onboard.geodesy import ecef_from_geodetic, ecef_from_nadir_camera, unit_from_latlon
from sim.clouds import CLOUD_KINDS
from sim.look import Look, draw_look
from sim.noise import FractalNoise
from sim.ocean import OceanMask
from sim.renderer import Renderer
from sim.texture import sample_footprints
from sim.view import PixelRays, look_at_earth

ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
ALTITUDE_M = 600e3


@pytest.fixture(scope="module")
def ocean():
    return OceanMask()


def _rng():
    return np.random.default_rng(0)


def _tilted(lat, lon, heading, tilt_deg=8.0):
    """A camera off the nadir by some degrees, so that no symmetry hides a mistake."""
    angle = np.radians(tilt_deg)
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    return ecef_from_nadir_camera(lat, lon, heading) @ tilt


@pytest.mark.parametrize(
    ("lat", "lon", "heading"), [(12.0, 40.0, 0.0), (-35.0, 179.7, 75.0), (89.3, -60.0, 200.0), (-89.9, 10.0, 310.0)]
)
def test_marked_places_appear_where_the_camera_model_projects_them(lat, lon, heading):
    """Spots at places given by pyproj, their pixels by Camera.project; at the antimeridian and over both poles."""
    camera = small_camera(200, 150)
    position = np.array(ECEF.transform(lon, lat, ALTITUDE_M))
    rotation = _tilted(lat, lon, heading)
    rng = _rng()
    spots = []
    for _ in range(6):
        north, east = rng.uniform(-1.2, 1.2, 2)
        away = (
            unit_from_latlon(lat, lon)
            + np.radians(north) * np.array([0.3, -0.5, 0.8])
            + np.radians(east) * np.array([0.7, 0.6, -0.2])
        )
        spots.append(
            (
                float(np.degrees(np.arctan2(away[2], np.hypot(away[0], away[1])))),
                float(np.degrees(np.arctan2(away[1], away[0]))),
            )
        )
    points = np.column_stack(ECEF.transform([s[1] for s in spots], [s[0] for s in spots], [0.0] * len(spots)))
    expected = camera.project((points - position) @ rotation)
    sun = unit_from_latlon(lat, lon)
    found = 0
    for spot, pixel in zip(spots, expected):
        if not (15 < pixel[0] < camera.width - 15 and 15 < pixel[1] < camera.height - 15):
            continue
        frame = Renderer(camera, FormulaMosaic([spot]), NoOcean()).render(position, rotation, sun, BARE, _rng())
        x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        light = np.clip(frame.mean(-1) - frame.mean(-1).min() - 0.25 * np.ptp(frame.mean(-1)), 0, None)
        centre = (light * x).sum() / light.sum(), (light * y).sum() / light.sum()
        # A spot is symmetric on the ground, not quite so in a tilted, distorted picture.
        np.testing.assert_allclose(centre, pixel, atol=0.12)
        found += 1
    assert found >= 3


def test_a_raster_spot_across_the_antimeridian_lands_on_its_pixel(tmp_path):
    raster = np.full((1800, 3600, 3), 60, np.uint8)
    raster[1000 - 1 : 1000 + 2, [3598, 3599, 0, 1]] = 255  # around 10.05 S, 180
    mosaic = Mosaic(_geotiff(tmp_path, raster))
    camera = small_camera()
    lat, lon = -9.4, -179.6
    position, rotation = ecef_from_geodetic(lat, lon, ALTITUDE_M), _tilted(lat, lon, 40.0, 3.0)
    frame = Renderer(camera, mosaic, NoOcean()).render(position, rotation, unit_from_latlon(lat, lon), BARE, _rng())
    spot = np.array(ECEF.transform(180.0, -10.05, 0.0))
    expected = camera.project((spot - position)[None] @ rotation)[0]
    x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    light = np.clip(frame.mean(-1) - 0.5 * frame.max(), 0, None)
    centre = (light * x).sum() / light.sum(), (light * y).sum() / light.sum()
    np.testing.assert_allclose(centre, expected, atol=0.4)


@pytest.mark.parametrize("lat", [5.0, 74.0])
def test_detail_finer_than_a_pixel_averages_out(tmp_path, lat):
    """Noise of one raster pixel, seen by a camera with pixels several times as coarse, is grey, not glitter."""
    noise = np.random.default_rng(5).integers(0, 2, (1800, 3600, 1), np.uint8) * np.uint8(200) + np.uint8(20)
    mosaic = Mosaic(_geotiff(tmp_path, np.repeat(noise, 3, axis=2)))
    camera = small_camera(64, 48, 70.0)
    rays = PixelRays.of(camera)
    altitude = 60 * mosaic.gsd_m * camera.fx / 10  # six raster pixels a frame pixel
    view = look_at_earth(
        rays,
        ecef_from_geodetic(lat, 30.0, altitude),
        ecef_from_nadir_camera(lat, 30.0, 20.0),
        unit_from_latlon(lat, 30),
    )
    colours, covered = sample_footprints(mosaic, view)
    seen = colours[..., 0][covered]
    assert covered.sum() > 1000
    assert abs(seen.mean() - 120) < 4
    # One raster pixel varies by 100; thirty-six of them averaged by 17, plus what a blend of levels leaves.
    assert seen.std() < 25
    places = view.grid.at_pixels(view.lat_deg), view.grid.at_pixels(view.lon_deg)
    glitter, _ = mosaic.sample(*places, 0.1 * mosaic.gsd_m)
    assert glitter[..., 0][covered].std() > 60


def test_the_painted_sea_floor_is_not_seen(ocean):
    camera = small_camera(160, 120)
    lat, lon = -10.0, -25.0
    position, rotation, sun = _over(lat, lon)
    frames = [
        Renderer(camera, FormulaMosaic(ground=paint), ocean).render(position, rotation, sun, BARE, _rng())
        for paint in ((8, 22, 51), (20, 80, 110))
    ]
    np.testing.assert_array_equal(*frames)
    red, _, blue = frames[0].reshape(-1, 3).mean(0)
    assert blue > 1.5 * red


def test_coasts_come_from_the_mask_and_ice_stays(ocean):
    camera = small_camera(160, 120)
    position, rotation, sun = _over(50.2, -3.0)  # the Channel, Cornwall and Brittany
    seen = Renderer(camera, FormulaMosaic(), ocean).observe(position, rotation, sun, BARE, _rng())
    assert 0.3 < seen.land_share < 0.8
    icy = Renderer(camera, FormulaMosaic(ground=(240, 240, 240)), ocean)
    assert icy.observe(position, rotation, sun, BARE, _rng()).land_share > 0.99


def test_the_ocean_mask_knows_coasts_at_every_scale(ocean):
    for lat, lon, share in ((48.85, 2.35, 0), (47.0, -8.0, 1), (0.0, -150.0, 1), (35.0, 180.0, 1), (89.9, 0.0, 1)):
        patch = np.full((2, 2), lat), lon + np.array([[0, 0.01], [0, 0.01]])
        for gsd_m in (300.0, 4000.0, 20e3):
            np.testing.assert_allclose(ocean.share(*patch, gsd_m), share, atol=0.05)
    nowhere = np.full((2, 2), np.nan)
    assert (ocean.share(nowhere, nowhere, 1e3) == 0).all()


def test_night_is_dark_and_dusk_is_between():
    camera, (lat, lon) = small_camera(160, 120), (20.0, 10.0)
    position, rotation, _ = _over(lat, lon)
    renderer = Renderer(camera, WavyMosaic(), NoOcean())
    means = []
    for elevation in (60.0, 2.0, -4.0, -12.0, -60.0):
        sun = unit_from_latlon(lat + 90 - elevation, lon)
        means.append(renderer.render(position, rotation, sun, replace(BARE, gamma=2.2), _rng()).mean())
    assert means == sorted(means, reverse=True)
    assert means[0] > 80
    assert means[-1] < 3


def test_space_is_black_and_the_limb_is_where_the_earth_ends():
    camera, (lat, lon) = small_camera(160, 120, 60.0), (0.0, 0.0)
    position = ecef_from_geodetic(lat, lon, ALTITUDE_M)
    rotation = _tilted(lat, lon, 0.0, 66.0)
    seen = Renderer(camera, FormulaMosaic(), NoOcean()).observe(
        position, rotation, unit_from_latlon(0, 0), BARE, _rng()
    )
    # The dip of the horizon by spherical geometry, from the camera's rays alone.
    rays = camera.rays(camera.pixel_grid()) @ rotation.T
    nadir_angle = np.arccos(rays @ (-position / np.linalg.norm(position)))
    on_earth = (nadir_angle < np.arcsin(6.37e6 / np.linalg.norm(position))).mean()
    assert 0.2 < on_earth < 0.8
    assert seen.earth_share == pytest.approx(on_earth, abs=0.01)
    space = (nadir_angle > np.arcsin(6.40e6 / np.linalg.norm(position))).reshape(120, 160)
    assert seen.frame[space].max() <= 3


def test_a_mask_blackens_what_the_camera_cannot_see():
    camera = small_camera(160, 120)
    mask = np.hypot(*(camera.pixel_grid() - (79.5, 59.5)).T).reshape(120, 160) < 50
    position, rotation, sun = _over(20.0, 10.0)
    frame = Renderer(replace(camera, mask=mask), WavyMosaic(), NoOcean()).render(position, rotation, sun, BARE, _rng())
    assert frame[mask].mean() > 40
    outside = np.hypot(*(camera.pixel_grid() - (79.5, 59.5)).T).reshape(120, 160) > 54
    assert frame[outside].max() <= 2


@pytest.mark.parametrize("kind", sorted(CLOUD_KINDS))
def test_clouds_cover_what_they_are_told_and_stay_where_they_are(kind):
    camera, (lat, lon) = small_camera(160, 120, 90.0), (20.0, 10.0)
    renderer = Renderer(camera, WavyMosaic(), NoOcean())
    position, rotation, sun = _over(lat, lon)
    covers = []
    for asked in (0.0, 0.3, 0.7, 0.97):
        shares = []
        for seed in range(4):
            look = replace(
                BARE, cloud_kind=kind, cloud_cover=asked, cloud_seed=seed, anchor_lat_deg=lat, anchor_lon_deg=lon
            )
            shares.append(renderer.observe(position, rotation, sun, look, _rng()).cloud_cover)
        covers.append(float(np.mean(shares)))
    assert covers[0] == 0 and covers == sorted(covers)
    assert covers[1] < 0.4 and covers[3] > 0.45


def test_noise_is_fixed_to_the_ground_at_any_resolution():
    noise = FractalNoise(seed=3, longest_m=100e3, hurst=0.5, shortest_m=8e3)
    x, y = np.meshgrid(np.linspace(-2e5, 2e5, 401, dtype=np.float32), np.linspace(-2e5, 2e5, 401, dtype=np.float32))
    fine = noise(x, y, np.full_like(x, 1000))
    coarse = noise(x[::2, ::2], y[::2, ::2], np.full_like(x[::2, ::2], 2000))
    assert np.corrcoef(fine[::2, ::2].ravel(), coarse.ravel())[0, 1] > 0.97
    assert 0.7 < fine.std() < 1.3


def test_a_frame_follows_from_its_seeds():
    camera, (lat, lon) = small_camera(160, 120), (20.0, 10.0)
    position, rotation, sun = _over(lat, lon)
    look = draw_look(np.random.default_rng(4), lat, lon)
    assert look == draw_look(np.random.default_rng(4), lat, lon) != draw_look(np.random.default_rng(5), lat, lon)
    first, again, noisier = (
        Renderer(camera, WavyMosaic(), NoOcean()).render(position, rotation, sun, look, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != noisier).any()


def test_near_infrared_makes_forest_bright():
    camera = small_camera(96, 72)
    position, rotation, sun = _over(20.0, 10.0)
    forest = Renderer(camera, FormulaMosaic(ground=(26, 44, 14)), NoOcean())
    sand = Renderer(camera, FormulaMosaic(ground=(190, 160, 115)), NoOcean())
    leak = ((0.5, 0, 0, 0.5), (0, 0.5, 0, 0.5), (0, 0, 0.5, 0.5))
    contrast = []
    for look in (BARE, replace(BARE, mix=leak)):
        # Under a fixed exposure only the ratio of the two tells; automatic exposure hides it, so compare red and blue.
        pair = [
            renderer.render(position, rotation, sun, look, _rng()).reshape(-1, 3).mean(0) for renderer in (forest, sand)
        ]
        contrast.append(pair[0][0] / pair[1][0])
    assert contrast[1] > 1.5 * contrast[0]


def test_a_look_is_recorded_whole():
    assert Look(**draw_look(_rng(), 1.0, 2.0).as_dict()).cloud_seed == draw_look(_rng(), 1.0, 2.0).cloud_seed


def _over(lat, lon):
    return (
        ecef_from_geodetic(lat, lon, ALTITUDE_M),
        ecef_from_nadir_camera(lat, lon, 30.0),
        unit_from_latlon(lat + 40, lon),
    )


def _geotiff(folder, rgb):
    path = folder / "world.tif"
    height, width = rgb.shape[:2]
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=3, dtype="uint8", crs="EPSG:4326",
        transform=from_bounds(-180, -90, 180, 90, width, height),
    ) as target:  # fmt: skip
        target.write(np.moveaxis(rgb, -1, 0))
    return path
