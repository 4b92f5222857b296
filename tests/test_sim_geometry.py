"""Pixel to ground against pyproj and astropy, and against the swaths of satellites that fly.

Nothing here goes through onboard.geodesy but the code under test: places become ECEF by PROJ, ECEF becomes local axes
by PROJ's topocentric conversion, and the lens is the textbook's (Brown 1966).
"""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import EarthLocation
from pyproj import Geod, Transformer
from sim_worlds import small_camera

from onboard.camera import Camera
from onboard.geodesy import ecef_from_nadir_camera
from sim.view import MAX_ERROR_PX, PixelRays, look_at_earth, trace

WGS84 = Geod(ellps="WGS84")
ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
SUN = np.array([1.0, 0.0, 0.0])
CENTIMETRE = 0.01

PINHOLE = Camera(160, 120, 150.0, 150.0, 79.5, 59.5)
DISTORTED = small_camera(160, 120, 60.0, (-0.21, 0.06, 0.002, -0.003))
# latitude, longitude, altitude (m), heading, tilt (degrees), camera
POSES = {
    "nadir": (12.0, 40.0, 600e3, 30.0, 0.0, PINHOLE),
    "distorted": (-35.0, 100.0, 600e3, 75.0, 4.0, DISTORTED),
    "north pole": (89.97, -60.0, 500e3, 200.0, 1.0, PINHOLE),
    "south pole": (-89.5, 10.0, 700e3, 310.0, 3.0, DISTORTED),
    "antimeridian": (-17.0, 179.9, 405e3, 120.0, 2.0, PINHOLE),
    "oblique": (47.0, -3.0, 405e3, 300.0, 45.0, PINHOLE),
    "limb": (0.0, 0.0, 800e3, 10.0, 62.0, DISTORTED),
    "geostationary": (0.0, -75.2, 35786e3, 0.0, 1.0, Camera(160, 120, 700.0, 700.0, 79.5, 59.5)),
}


def _rotations(heading_deg, tilt_deg):
    """Camera from east-north-up: first turned to its heading, looking down, then tilted up about its x axis."""
    h, t = np.radians(heading_deg), np.radians(tilt_deg)
    level = np.array([[np.cos(h), -np.sin(h), 0], [-np.sin(h), -np.cos(h), 0], [0, 0, -1.0]])
    tilt = np.array([[1, 0, 0], [0, np.cos(t), -np.sin(t)], [0, np.sin(t), np.cos(t)]])
    return level, tilt


def _brown(camera, points):
    """Pixels of points in camera axes: two radial, two tangential terms."""
    k1, k2, p1, p2 = camera.distortion or (0.0,) * 4
    x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.column_stack([camera.fx * u + camera.cx, camera.fy * v + camera.cy])


@pytest.mark.parametrize("name", POSES)
def test_every_pixel_meets_the_ground_within_a_centimetre(name):
    lat, lon, altitude, heading, tilt_deg, camera = POSES[name]
    level, tilt = _rotations(heading, tilt_deg)
    exact = PixelRays.of(camera).grids[-1]
    assert exact.grid.step == 1
    view = trace(exact, np.array(ECEF.transform(lon, lat, altitude)), _ecef_from_cam(POSES[name]), SUN)
    seen = view.seen.ravel()
    assert seen.all() or (name == "limb" and 0.05 < seen.mean() < 0.95) or name == "geostationary"

    ground_lat, ground_lon = view.lat_deg.ravel()[seen], view.lon_deg.ravel()[seen]
    ecef = ECEF.transform(ground_lon, ground_lat, np.zeros(seen.sum()))
    to_local = Transformer.from_pipeline(f"+proj=topocentric +ellps=WGS84 +lat_0={lat} +lon_0={lon} +h_0={altitude}")
    local = np.column_stack(to_local.transform(*ecef))
    in_camera = local @ level.T @ tilt  # tilt' level east-north-up
    pixels = _brown(camera, in_camera)
    off_px = np.linalg.norm(pixels - camera.pixel_grid()[seen], axis=1)
    # Across the line of sight; a slanting ray lands this much farther off along the ground.
    off_m = off_px * view.near_side_m.ravel()[seen]
    on_ground_m = off_m / np.maximum(view.cos_view.ravel()[seen], 0.02)
    assert on_ground_m.max() < CENTIMETRE
    # The near side of the Earth, not where the ray comes out again.
    up = np.column_stack(ECEF.transform(ground_lon, ground_lat, np.full(seen.sum(), 1.0))) - np.column_stack(ecef)
    towards = np.array(ECEF.transform(lon, lat, altitude)) - np.column_stack(ecef)
    assert (np.einsum("ij,ij->i", up, towards) > 0).all()


@pytest.mark.parametrize("name", POSES)
def test_astropy_calls_the_places_the_same(name):
    """Latitude and longitude of traced points by astropy (ERFA), to a centimetre along the ellipsoid."""
    lat, lon, altitude, *_, camera = POSES[name]
    position = EarthLocation.from_geodetic(lon, lat, altitude, ellipsoid="WGS84")
    position_m = np.array([part.to_value(units.m) for part in position.geocentric])
    view = trace(PixelRays.of(camera).grids[0], position_m, _ecef_from_cam(POSES[name]), SUN)
    some = np.isfinite(view.lat_deg)
    there = EarthLocation.from_geodetic(view.lon_deg[some], view.lat_deg[some], 0.0, ellipsoid="WGS84")
    ecef_m = np.column_stack([part.to_value(units.m) for part in there.geocentric])
    # The view keeps ECEF in single precision, good to half a metre; its places are double.
    assert np.abs(ecef_m - view.ecef_m[some]).max() < 0.6
    way = ecef_m - position_m
    rays = (
        PixelRays.of(camera).grids[0].directions_cam.reshape(*view.grid.shape, 3)[some] @ _ecef_from_cam(POSES[name]).T
    )
    aside_m = np.linalg.norm(np.cross(way, rays), axis=1) / np.maximum(view.cos_view[some], 0.02)
    assert aside_m.max() < CENTIMETRE


def test_places_between_traced_rays_are_a_hundredth_of_a_pixel_off_at_most():
    """Random cameras, places, tilts and distortions; whatever grid is chosen, against every ray traced."""
    rng = np.random.default_rng(11)
    steps, worst = [], 0.0
    for _ in range(60):
        distortion = (rng.uniform(-0.25, 0.1), rng.uniform(-0.02, 0.08), *rng.uniform(-0.003, 0.003, 2))
        camera = small_camera(192, 144, float(rng.uniform(15, 95)), distortion)
        lat, lon = float(np.degrees(np.arcsin(rng.uniform(-1, 1)))), float(rng.uniform(-180, 180))
        pose = (lat, lon, float(rng.uniform(350e3, 900e3)), rng.uniform(0, 360), rng.exponential(12.0), camera)
        rays, rotation, position = (
            PixelRays.of(camera),
            _ecef_from_cam(pose),
            np.array(ECEF.transform(lon, lat, pose[2])),
        )
        view = look_at_earth(rays, position, rotation, SUN)
        exact = trace(rays.grids[-1], position, rotation, SUN)
        steps.append(view.grid.step)
        assert (view.seen == exact.seen).all()
        if view.grid.step == 1:
            continue
        lat_deg, lon_deg = view.grid.at_pixels(view.lat_deg), view.grid.at_pixels(view.lon_deg)
        _, _, off_m = WGS84.inv(lon_deg, lat_deg, exact.lon_deg, exact.lat_deg)
        worst = max(worst, float((off_m / exact.near_side_m).max()))
    assert worst < MAX_ERROR_PX
    assert set(steps) == {8, 4, 2, 1}  # every kind was met


def test_a_nadir_camera_of_640_by_480_needs_every_eighth_ray_each_way():
    camera = Camera(640, 480, 634.9, 634.9, 319.5, 239.5)
    pose = (45.0, 7.0, 405e3, 20.0, 1.5, camera)
    view = look_at_earth(PixelRays.of(camera), np.array(ECEF.transform(7.0, 45.0, 405e3)), _ecef_from_cam(pose), SUN)
    assert view.grid.step == 8


@pytest.mark.parametrize(
    ("fov_deg", "altitude_m", "swath_km"),
    [
        # Landsat 8 OLI: USGS, Landsat 8 Data Users Handbook (LSDS-1574), section 2.
        pytest.param(15.0, 705e3, 185.0, id="Landsat 8 OLI"),
        # Sentinel-2 MSI: ESA, Sentinel-2 User Handbook, and sentinel.esa.int/web/sentinel/missions/sentinel-2/overview.
        pytest.param(20.6, 786e3, 290.0, id="Sentinel-2 MSI"),
        # Sentinel-5: sentinel.esa.int/web/sentinel/missions/sentinel-5/satellite-description/geographical-coverage.
        pytest.param(108.4, 817e3, 2670.0, id="Sentinel-5"),
        # MODIS: NASA, modis.gsfc.nasa.gov/about/specifications.php (scan of 55 degrees to either side).
        pytest.param(110.0, 705e3, 2330.0, id="MODIS"),
    ],
)
def test_swaths_are_those_that_are_published(fov_deg, altitude_m, swath_km):
    """Along a line of 1,001 pixels whose outer edges span the field of view; geodesics by PROJ. The curved Earth adds a
    sixth to the widest. Published figures are rounded, and altitudes vary by 2 % along an orbit."""
    focal = 1001 / 2 / np.tan(np.radians(fov_deg / 2))
    camera = Camera(1001, 16, focal, focal, 500.0, 7.5)
    pose = (40.0, 9.0, altitude_m, 190.0, 0.0, camera)
    view = trace(
        PixelRays.of(camera).grids[-1], np.array(ECEF.transform(9.0, 40.0, altitude_m)), _ecef_from_cam(pose), SUN
    )
    lat, lon = view.lat_deg[8], view.lon_deg[8]
    _, _, between_m = WGS84.inv(lon[0], lat[0], lon[-1], lat[-1])
    _, _, edge_m = WGS84.inv(lon[[0, -2]], lat[[0, -2]], lon[[1, -1]], lat[[1, -1]])
    swath_m = between_m + edge_m.sum() / 2  # half a pixel more on either side
    assert swath_m / 1e3 == pytest.approx(swath_km, rel=0.016)


def _ecef_from_cam(pose):
    lat, lon, _, heading, tilt_deg, _ = pose
    return ecef_from_nadir_camera(lat, lon, heading) @ _rotations(heading, tilt_deg)[1]
