"""The ground before a tilted camera, against rays on the ellipsoid and pyproj's geodesics."""

import numpy as np
import pytest
from pyproj import Geod

from onboard import Vertical
from onboard.camera import Camera
from onboard.geodesy import (
    ecef_from_geodetic,
    ecef_from_nadir_camera,
    geodetic_from_ecef,
    heading_deg_of,
    intersect_ellipsoid,
    unit_from_latlon,
)
from onboard.ground_plane import MAX_INCIDENCE_DEG, GroundPlane, level_from_cam

NARROW = Camera(1296, 972, 1285.7, 1285.7, 647.5, 485.5)
WIDE = Camera(1024, 1024, 512.0, 512.0, 511.5, 511.5, "plumb_bob", (-0.05, 0.01, 0.0, 0.0, 0.0))
WGS84 = Geod(ellps="WGS84")
TILTS_DEG = [(0.0, 0.0), (10.0, 65.0), (30.0, 0.0), (30.0, 250.0), (40.0, 140.0), (48.0, 310.0)]


def down_cam(tilt_deg: float, direction_deg: float) -> tuple[float, float, float]:
    return Vertical.off_nadir(tilt_deg, direction_deg, 0.01).down_cam


def turn_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs((a - b + 180) % 360 - 180)


@pytest.mark.parametrize("lat", [0.0, 45.0, -78.0])
@pytest.mark.parametrize("camera, altitude_m", [(NARROW, 405e3), (WIDE, 700e3)])
@pytest.mark.parametrize("tilt", TILTS_DEG)
def test_ground_of_pixels_is_that_of_rays_on_the_ellipsoid(
    camera: Camera, altitude_m: float, tilt: tuple[float, float], lat: float
) -> None:
    """From the point that the axis really meets: every other pixel's point within 0.7 % (the sphere) and 60 m."""
    plane = GroundPlane(altitude_m, down_cam(*tilt))
    rotation = ecef_from_nadir_camera(lat, 179.5, 30.0) @ level_from_cam(np.array(plane.down_cam))
    position = ecef_from_geodetic(lat, 179.5, altitude_m)
    aim_lat, aim_lon, _ = (float(x) for x in geodetic_from_ecef(intersect_ellipsoid(position, rotation[:, 2])))
    rays = camera.rays(camera.pixel_grid()[::9973])
    ground = plane.from_camera(rays)
    at_lat, at_lon, _ = geodetic_from_ecef(intersect_ellipsoid(position, rays @ rotation.T))
    azimuth, _, way = WGS84.inv(np.full(len(rays), aim_lon), np.full(len(rays), aim_lat), at_lon, at_lat)
    seen = np.isfinite(ground[:, 0])
    assert seen.sum() > 40
    # Towards 60 degrees of incidence a ray that is 0.02 degrees off goes a long way.
    np.testing.assert_allclose(np.hypot(*ground[seen].T), way[seen], rtol=0.007, atol=60.0)
    heading = heading_deg_of(rotation, aim_lat, aim_lon)
    bearing = np.degrees(np.arctan2(ground[seen, 0], -ground[seen, 1])) + heading
    far = way[seen] > 20e3
    assert turn_deg(bearing, azimuth[seen])[far].max() < 0.3


@pytest.mark.parametrize("tilt", TILTS_DEG)
def test_from_the_aim_back_to_the_camera(tilt: tuple[float, float]) -> None:
    """Where a candidate's pose starts: within 0.3 km of where the camera really is."""
    plane = GroundPlane(405e3, down_cam(*tilt))
    rotation = ecef_from_nadir_camera(-35.0, 20.0, 130.0) @ level_from_cam(np.array(plane.down_cam))
    position = ecef_from_geodetic(-35.0, 20.0, 405e3)
    lat, lon, _ = (float(x) for x in geodetic_from_ecef(intersect_ellipsoid(position, rotation[:, 2])))
    level = ecef_from_nadir_camera(lat, lon, heading_deg_of(rotation, lat, lon))
    assert np.linalg.norm(ecef_from_geodetic(lat, lon) + level @ plane.camera_m - position) < 300.0
    np.testing.assert_allclose(level @ plane.level_from_cam, rotation, atol=5e-4)


@pytest.mark.parametrize("lat", [2.0, 51.0, -85.0])
@pytest.mark.parametrize("tilt", TILTS_DEG)
def test_the_aim_of_a_camera_over_a_place(tilt: tuple[float, float], lat: float) -> None:
    plane = GroundPlane(405e3, down_cam(*tilt))
    rotation = ecef_from_nadir_camera(lat, -179.8, 200.0) @ level_from_cam(np.array(plane.down_cam))
    met = intersect_ellipsoid(ecef_from_geodetic(lat, -179.8, 405e3), rotation[:, 2])
    met_lat, met_lon, _ = (float(x) for x in geodetic_from_ecef(met))
    nadir_heading = heading_deg_of(rotation, lat, -179.8)
    unit, heading = plane.aim(unit_from_latlon(lat, -179.8), nadir_heading)
    way = plane.nadir_way_rad * 6371e3
    assert np.linalg.norm(unit - unit_from_latlon(met_lat, met_lon)) * 6371e3 < 0.007 * way + 1e-3
    # Near a pole north itself turns by what the place is off.
    assert turn_deg(np.array(heading), np.array(heading_deg_of(rotation, met_lat, met_lon))) < 0.3 / np.cos(
        np.radians(met_lat)
    )


@pytest.mark.parametrize("tilt", TILTS_DEG)
def test_ground_and_camera_are_inverse(tilt: tuple[float, float]) -> None:
    plane = GroundPlane(405e3, down_cam(*tilt))
    ground = np.random.default_rng(0).uniform(-7e4, 7e4, (200, 2))
    points = plane.to_camera(ground)
    back = plane.from_camera(points / np.linalg.norm(points, axis=1, keepdims=True))
    np.testing.assert_allclose(back, ground, atol=1e-3)
    np.testing.assert_allclose(plane.to_camera(np.zeros((1, 2))), [[0, 0, plane.slant_m]], atol=1e-3)


@pytest.mark.parametrize("tilt", TILTS_DEG)
def test_slopes_are_those_of_the_rays(tilt: tuple[float, float]) -> None:
    plane = GroundPlane(405e3, down_cam(*tilt))
    ground = np.random.default_rng(1).uniform(-1.2e5, 1.2e5, (50, 2))

    def seen(ground_m: np.ndarray) -> np.ndarray:
        points = plane.to_camera(ground_m)
        return points[:, :2] / points[:, 2:]

    numeric = np.stack([(seen(ground + step) - seen(ground - step)) / 200.0 for step in 100.0 * np.eye(2)], axis=2)
    size = np.linalg.norm(numeric, axis=(1, 2))[:, None, None]
    np.testing.assert_allclose(plane.slope(ground) / size, numeric / size, atol=0.08)
    if tilt[0] == 0:
        np.testing.assert_allclose(plane.slope(ground), np.tile(np.eye(2) / 405e3, (50, 1, 1)), rtol=1e-9)


def test_rays_to_the_limb_have_no_ground() -> None:
    off = np.radians([0.0, 63.0, 64.5, 89.0])  # from 700 km the horizon is at 64.3 degrees, incidence 60 at 51
    ground = GroundPlane(700e3).from_camera(np.column_stack([np.sin(off), 0 * off, np.cos(off)]))
    assert np.isfinite(ground[0]).all() and np.isnan(ground[1:]).all()
    assert MAX_INCIDENCE_DEG == 60.0


@pytest.mark.parametrize("tilt_deg, usable", [(0, True), (50.0, True), (52.0, False), (66.0, False), (120.0, False)])
def test_what_looks_too_far_out_is_not_usable(tilt_deg: float, usable: bool) -> None:
    assert GroundPlane(700e3, down_cam(tilt_deg, 0.0)).usable is usable


def test_the_ground_recedes_where_it_is_told() -> None:
    """Told 30 degrees off towards the right of the picture, the right edge's ground is farther than the left's."""
    ground = GroundPlane(405e3, down_cam(30.0, 90.0)).from_camera(NARROW.rays([[0.0, 485.5], [1100.0, 485.5]]))
    nadir_m = GroundPlane(405e3, down_cam(30.0, 90.0)).nadir_way_rad * 6371e3
    assert ground[0, 0] == pytest.approx(-nadir_m + 405e3 * np.tan(np.radians(30 - 26.74)), rel=0.02)
    assert ground[1, 0] > -0.9 * ground[0, 0]
