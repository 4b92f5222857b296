"""Geodesy against pyproj, and places where formulas like to break."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from onboard import geodesy

TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
LAT, LON = st.floats(-90, 90), st.floats(-180, 180)


@given(LAT, LON, st.floats(-5e3, 4e7))
def test_ecef_agrees_with_pyproj(lat: float, lon: float, alt: float) -> None:
    expected = TO_ECEF.transform(lon, lat, alt)
    np.testing.assert_allclose(geodesy.ecef_from_geodetic(lat, lon, alt), expected, atol=1e-6)


@given(LAT, LON, st.floats(-5e3, 4e7))
def test_geodetic_round_trip(lat: float, lon: float, alt: float) -> None:
    """To a micrometre in space, which no longitude at a pole can disturb."""
    ecef = geodesy.ecef_from_geodetic(lat, lon, alt)
    back = geodesy.geodetic_from_ecef(ecef)
    np.testing.assert_allclose(geodesy.ecef_from_geodetic(*back), ecef, atol=1e-6)
    assert abs(back[2] - alt) < 1e-6


@pytest.mark.parametrize("lat", [90.0, -90.0])
def test_poles(lat: float) -> None:
    back_lat, _, alt = geodesy.geodetic_from_ecef(geodesy.ecef_from_geodetic(lat, 0.0, 405e3))
    assert back_lat == pytest.approx(lat, abs=1e-9) and alt == pytest.approx(405e3, abs=1e-6)


@given(st.floats(-89, 89), LON, st.floats(0, 360), st.floats(1.0, 2e6))
def test_destination_and_azimuth_are_inverse(lat: float, lon: float, azimuth: float, way: float) -> None:
    to_lat, to_lon = geodesy.destination(lat, lon, azimuth, way)
    assert geodesy.distance_m(lat, lon, to_lat, to_lon) == pytest.approx(way, rel=1e-6, abs=0.02)
    turn = (geodesy.azimuth_deg(lat, lon, to_lat, to_lon) - azimuth + 180) % 360 - 180
    assert abs(turn) < 1e-3 + 1e-2 * 1e3 / way


@given(LAT, LON, LAT, LON)
def test_distance_is_within_its_stated_error_of_the_geodesic(a: float, b: float, c: float, d: float) -> None:
    geodesic = Geod(ellps="WGS84").inv(b, a, d, c)[2]
    assert geodesy.distance_m(a, b, c, d) == pytest.approx(geodesic, rel=0.006, abs=0.1)


@pytest.mark.parametrize("lat, lon", [(0, 0), (47.3, 179.99), (-33, -180), (89.9, 12), (-90, 0)])
def test_ray_down_meets_the_nadir_point(lat: float, lon: float) -> None:
    position = geodesy.ecef_from_geodetic(lat, lon, 405e3)
    down = geodesy.ecef_from_ned(lat, lon)[:, 2]
    np.testing.assert_allclose(
        geodesy.intersect_ellipsoid(position, down), geodesy.ecef_from_geodetic(lat, lon), atol=1e-6
    )
    assert np.isnan(geodesy.intersect_ellipsoid(position, -down)).all()


def test_limb_rays_graze_or_miss() -> None:
    position = geodesy.ecef_from_geodetic(0, 0, 405e3)
    horizon = np.arcsin(geodesy.WGS84_A_M / (geodesy.WGS84_A_M + 405e3))
    for off, hits in ((horizon - 1e-6, True), (horizon + 1e-6, False)):
        ray = np.array([-np.cos(off), np.sin(off), 0.0])  # in the equator's plane, where the ellipsoid is a circle
        assert np.isfinite(geodesy.intersect_ellipsoid(position, ray)).all() == hits


@pytest.mark.parametrize("heading", [0.0, 33.0, 181.5, 359.0])
def test_nadir_camera_axes(heading: float) -> None:
    rotation = geodesy.ecef_from_nadir_camera(47.0, 179.9, heading)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    found = geodesy.heading_deg_of(rotation, 47.0, 179.9)
    assert 0 <= found < 360 and (found - heading + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)
    # At heading 0 the picture is a map: right is east.
    east = geodesy.ecef_from_ned(47.0, 179.9)[:, 1]
    assert geodesy.ecef_from_nadir_camera(47.0, 179.9, 0.0)[:, 0] @ east == pytest.approx(1.0)


@pytest.mark.parametrize("heading", [-1e-15, -1e-14, -1e-13, 1e-14, 359.999])
def test_a_heading_a_hair_below_north_is_within_the_circle(heading: float) -> None:
    turn = np.radians(heading)
    up_ned = np.array([np.cos(turn), np.sin(turn), 0.0])
    rotation = geodesy.ecef_from_ned(47.0, 10.0) @ np.column_stack(
        [np.cross([0, 0, 1.0], up_ned), -up_ned, [0, 0, 1.0]]
    )
    found = geodesy.heading_deg_of(rotation, 47.0, 10.0)
    assert 0 <= found < 360 and (found - heading + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)
    assert 0 <= float(geodesy.azimuth_deg(10.0, 20.0, 11.0, 20.0 + heading)) < 360
