"""What a campaign writes for other tools: CCSDS OEM and GeoJSON, read back by code that is not ours."""

import json
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oem import OrbitEphemerisMessage
from pyproj import Geod
from sim_worlds import small_camera, small_mission

from onboard.geodesy import ecef_from_geodetic, ecef_from_nadir_camera
from onboard.mission import Orbit
from sim.flight_scenario import draw_scenario
from sim.footprint import outline_lonlat_deg
from sim.geojson import footprints_geojson, geometry
from sim.oem import object_id_of, oem_text

TLE_1 = "1 25544U 98067A   26182.50000000  .00010000  00000-0  18000-3 0  9990"


@pytest.fixture(scope="module")
def flight():
    return draw_scenario(small_mission(), 12, 150.0, 3, np.datetime64("2026-07-01T10:00:00")).flights[0]


def test_the_orbit_is_read_back_by_another_implementation(flight, tmp_path):
    path = tmp_path / "orbit.oem"
    path.write_text(oem_text(flight, "test-600km", "2026-001A", datetime(2026, 7, 2)))
    message = OrbitEphemerisMessage.open(path)
    (segment,) = message.segments
    assert segment.metadata["REF_FRAME"] == "ITRF2014" and segment.metadata["TIME_SYSTEM"] == "UTC"
    assert segment.metadata["OBJECT_ID"] == "2026-001A" and segment.metadata["CENTER_NAME"] == "EARTH"
    written = {np.datetime64(state.epoch.utc.isot, "us"): state for state in segment.states}
    positions, velocities = flight.orbit.states(flight.times)
    for time, position, velocity in zip(flight.times, positions, velocities):  # truth at every frame
        state = written[time]
        np.testing.assert_allclose(np.array(state.position) * 1e3, position, atol=0.01)
        np.testing.assert_allclose(np.array(state.velocity) * 1e3, velocity, atol=1e-5)
    # And dense enough that the interpolation it states is good to a metre anywhere.
    between = flight.times[0] + np.arange(1, 60) * np.timedelta64(27_100_000, "us")
    for time, position in zip(between, flight.orbit.states(between)[0]):
        from astropy.time import Time

        found = segment(Time(str(time), scale="utc"))
        assert np.linalg.norm(np.array(found.position) * 1e3 - position) < 1.0


def test_no_more_is_interpolated_than_there_are_states(flight, tmp_path):
    path = tmp_path / "orbit.oem"
    times = flight.times[0] + np.array([0, 40, 72 * 3600, 84 * 3600, 144 * 3600]).astype("timedelta64[s]")
    path.write_text(oem_text(replace(flight, times=times), "test-600km", "2026-001A"))
    segments = OrbitEphemerisMessage.open(path).segments
    assert [len(list(segment.states)) for segment in segments] == [2, 721, 1]
    said = [line for line in path.read_text().splitlines() if line.startswith(("INTERPOLATION_DEGREE", "START"))]
    assert [line.split(" = ")[1] for line in said if "DEGREE" in line] == ["1", "7"] and "START" in said[-1]
    assert np.datetime64(segments[1].metadata["STOP_TIME"].utc.isot, "us") == times[3]


def test_positions_are_earth_fixed_not_inertial(flight):
    """Velocities are derivatives of the positions as they stand: no rotation of the Earth is missing or added."""
    step = np.timedelta64(500, "ms")
    before, after = (flight.orbit.states(flight.times + sign * step)[0] for sign in (-1, 1))
    np.testing.assert_allclose(flight.orbit.states(flight.times)[1], after - before, atol=0.01)


def test_objects_are_named_by_their_designator():
    ranges = ((400e3, 420e3), (51.6, 51.6))
    assert object_id_of(Orbit(*ranges, tle=(TLE_1, ""))) == "1998-067A"
    assert object_id_of(Orbit(*ranges, tle=(TLE_1.replace("98067A ", "26001AB"), ""))) == "2026-001AB"
    assert object_id_of(Orbit(*ranges, omm={"OBJECT_ID": "2000-028A"})) == "2000-028A"
    assert object_id_of(Orbit(*ranges)) == "UNKNOWN"


def _rings(shape):
    polygons = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
    return [np.array(polygon[0]) for polygon in polygons]


def _outline(lat, lon, heading, altitude_m=600e3):
    camera = small_camera()
    position = ecef_from_geodetic(lat, lon, altitude_m)
    return outline_lonlat_deg(camera, position, ecef_from_nadir_camera(lat, lon, heading))


@given(st.floats(-89, 89), st.floats(-180, 180), st.floats(0, 360))
def test_footprints_are_whole_valid_and_wound_as_rfc_7946_says(lat, lon, heading):
    outline = _outline(lat, lon, heading)
    rings = _rings(geometry(outline))
    area_m2 = 0.0
    for ring in rings:
        assert (ring[0] == ring[-1]).all() and len(ring) >= 4
        assert np.abs(ring[:, 0]).max() <= 180 and np.abs(ring[:, 1]).max() <= 90
        assert np.abs(np.diff(ring[:, 0])).max() <= 180 or np.abs(ring[:, 1]).max() == 90
        signed = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
        assert signed > 0  # counterclockwise
        if np.abs(ring[:, 1]).max() < 90:
            area_m2 += Geod(ellps="WGS84").polygon_area_perimeter(*ring.T)[0]
    # Nothing is lost or counted twice: the area by Karney's geodesics, which know no antimeridian.
    if all(np.abs(ring[:, 1]).max() < 80 for ring in rings):
        whole_m2 = abs(Geod(ellps="WGS84").polygon_area_perimeter(*outline.T)[0])
        assert area_m2 == pytest.approx(whole_m2, rel=0.01)


def test_a_footprint_over_the_antimeridian_is_cut_there():
    rings = _rings(geometry(_outline(10.0, 179.5, 20.0)))
    assert len(rings) == 2
    west, east = sorted(rings, key=lambda ring: ring[:, 0].mean())
    assert west[:, 0].min() == -180 and west[:, 0].max() < -175
    assert east[:, 0].max() == 180 and east[:, 0].min() > 174
    assert len(_rings(geometry(_outline(10.0, 100.0, 20.0)))) == 1


def test_a_footprint_over_a_pole_reaches_it_at_all_longitudes():
    for lat in (89.5, -89.5):
        rings = _rings(geometry(_outline(lat, 33.0, 70.0)))
        corners = np.vstack(rings)
        assert corners[:, 0].min() == -180 and corners[:, 0].max() == 180
        assert np.abs(corners[:, 1]).max() == 90 and np.sign(corners[:, 1].mean()) == np.sign(lat)


def test_a_collection_has_a_feature_a_frame_and_none_where_there_is_no_ground():
    truth = {"index": 0, "time_utc": "2026-07-01T10:00:00Z", "group": "orbit", "sun_elevation_deg": 3.0}
    truth |= {"cloud_cover": 0.1, "land_share": 0.2, "footprint_lonlat_deg": _outline(10.0, 179.5, 20.0).tolist()}
    fix = {"status": "FIX", "error_m": 5.0}
    text = footprints_geojson([truth, truth | {"footprint_lonlat_deg": None}], [fix, fix], ["right", "wrong"])
    collection = json.loads(text)
    assert collection["type"] == "FeatureCollection"
    with_ground, without = collection["features"]
    assert with_ground["geometry"]["type"] == "MultiPolygon" and with_ground["properties"]["outcome"] == "right"
    assert without["geometry"] is None and without["type"] == "Feature"
