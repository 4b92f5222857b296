"""Rectification against the ellipsoid by an independent route, and where it stops."""

import numpy as np
import pytest
from pyproj import Geod

from onboard.camera import Camera
from onboard.geodesy import ecef_from_geodetic, ecef_from_nadir_camera, geodetic_from_ecef, intersect_ellipsoid
from onboard.rectify import MAX_INCIDENCE_DEG, camera_to_ground, ground_to_camera, rectifier

NARROW = Camera(1296, 972, 1285.7, 1285.7, 647.5, 485.5)
WIDE = Camera(1024, 1024, 512.0, 512.0, 511.5, 511.5, "plumb_bob", (-0.05, 0.01, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("camera, altitude_m", [(NARROW, 405e3), (WIDE, 700e3)])
def test_ground_offsets_agree_with_rays_on_the_ellipsoid(camera: Camera, altitude_m: float) -> None:
    """pyproj's geodesic from the nadir point to where a ray meets the ellipsoid: within the sphere's 0.7 %."""
    position = ecef_from_geodetic(45.0, 179.5, altitude_m)
    rays = camera.rays(camera.pixel_grid()[::9973])
    ground = camera_to_ground(rays, altitude_m)
    lat, lon, _ = geodetic_from_ecef(intersect_ellipsoid(position, rays @ ecef_from_nadir_camera(45.0, 179.5, 30.0).T))
    azimuth, _, way = Geod(ellps="WGS84").inv(np.full(len(lat), 179.5), np.full(len(lat), 45.0), lon, lat)
    seen = np.isfinite(ground[:, 0])
    assert seen.sum() > 50
    np.testing.assert_allclose(np.hypot(*ground[seen].T), way[seen], rtol=0.007, atol=5.0)
    bearing = np.degrees(np.arctan2(ground[seen, 0], -ground[seen, 1])) + 30.0
    assert np.abs((bearing - azimuth[seen] + 180) % 360 - 180).max() < 0.25


def test_ground_and_camera_are_inverse() -> None:
    ground = np.random.default_rng(0).uniform(-5e5, 5e5, (200, 2))
    np.testing.assert_allclose(camera_to_ground(ground_to_camera(ground, 700e3), 700e3), ground, atol=1e-3)


def test_rays_to_the_limb_have_no_ground() -> None:
    off = np.radians([0.0, 63.0, 64.5, 89.0])  # from 700 km the horizon is at 64.3 degrees, incidence 60 at 51
    ground = camera_to_ground(np.column_stack([np.sin(off), 0 * off, np.cos(off)]), 700e3)
    assert np.isfinite(ground[0]).all() and np.isnan(ground[1:]).all()
    assert MAX_INCIDENCE_DEG == 60.0


@pytest.mark.parametrize("camera, altitude_m, gsd_m", [(NARROW, 405e3, 930.0), (WIDE, 700e3, 7400.0)])
def test_a_mark_lands_where_its_ray_says(camera: Camera, altitude_m: float, gsd_m: float) -> None:
    frame = np.zeros((camera.height, camera.width, 3), np.uint8)
    x, y = int(0.3 * camera.width), int(0.65 * camera.height)
    frame[y - 14 : y + 15, x - 14 : x + 15] = 255
    rectified = rectifier(camera, altitude_m, gsd_m)(frame)
    weight = rectified.image[:, :, 0].astype(float)
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
    centroid = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    expected = camera_to_ground(camera.rays([[x, y]]), altitude_m)[0] / gsd_m + rectified.centre_px
    np.testing.assert_allclose(centroid, expected, atol=0.25)


def test_scale_is_the_catalogues() -> None:
    """From 405 km the ISS camera sees 413 km across: 444 pixels of 930 m."""
    shape = rectifier(NARROW, 405e3, 930.0).mask.shape
    assert abs(shape[1] * 930.0 - 413e3) < 3e3
