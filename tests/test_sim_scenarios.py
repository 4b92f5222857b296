"""Scenarios: what they promise of their frames, checked on the frames' circumstances."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from sim_worlds import NoOcean, WavyMosaic, small_camera, small_mission

from onboard.geodesy import distance_m, ecef_from_ned, geodetic_from_ecef, intersect_ellipsoid
from onboard.ground_plane import GroundPlane
from sim.errors import SimError
from sim.flight_scenario import draw_orbits
from sim.land_scenario import LandScenario
from sim.places import Ground
from sim.reject_scenario import KINDS, RejectScenario
from sim.scenario import EARTH
from sim.subjects import BARS, CHECKERBOARD, CRATERED, MIRRORED, NOISE, STRIPES, UNIFORM, Studio, shows_earth


class HalfOcean:
    """Sea east of Greenwich."""

    def share(self, lat_deg, lon_deg, gsd_m):
        return (np.asarray(lon_deg) > 0).astype(np.float32)


GROUND = Ground(WavyMosaic(), HalfOcean())
MISSION = replace(small_mission(small_camera(96, 72)), latitude_band_deg=(-50.0, 60.0))


def test_land_is_uniform_by_area_on_land_by_day_at_any_heading():
    shots = LandScenario(MISSION, 600, 4, GROUND).shots()
    lat, lon = np.array([(shot.lat_deg, shot.lon_deg) for shot in shots]).T
    assert (lon < 0).all() and lat.min() > -50 and lat.max() < 60
    assert all(shot.sun_elevation_deg >= 5 for shot in shots)
    # Uniform by area: the sine of the latitude is uniform (Kolmogorov and Smirnov at 0.1 %).
    from scipy import stats

    low, high = np.sin(np.radians([-50, 60]))
    assert stats.kstest((np.sin(np.radians(lat)) - low) / (high - low), "uniform").pvalue > 1e-3
    assert stats.kstest(-lon / 180, "uniform").pvalue > 1e-3
    assert stats.kstest(np.array([shot.heading_deg for shot in shots]) / 360, "uniform").pvalue > 1e-3
    # Off nadir: the length of two normal errors of the mission's half degree each.
    assert np.mean([shot.off_nadir_deg**2 for shot in shots]) == pytest.approx(2 * 0.5**2, rel=0.15)
    altitudes = [shot.altitude_m for shot in shots]
    assert 590e3 <= min(altitudes) < 592e3 and 608e3 < max(altitudes) <= 610e3
    days = [(shot.time - np.datetime64("2026-07-01")) / np.timedelta64(1, "D") for shot in shots]
    assert min(days) < 10 and max(days) > 355 and max(days) < 366


TILTED = replace(MISSION, off_nadir_deg=35.0, off_nadir_direction_deg=140.0)


def test_a_camera_mounted_off_nadir_looks_at_the_land_and_hangs_beside_it():
    level, tilted = (LandScenario(mission, 40, 4, GROUND).shots() for mission in (MISSION, TILTED))
    way_m = GroundPlane(MISSION.altitude_m, TILTED.down_cam).nadir_way_rad * 6371e3
    for one, other in zip(level, tilted):
        axis = intersect_ellipsoid(other.position_ecef_m, other.ecef_from_cam[:, 2])
        lat, lon, _ = geodetic_from_ecef(axis)
        # But for half a degree of pointing, which reaches farther aslant.
        assert distance_m(lat, lon, one.lat_deg, one.lon_deg) < 40e3
        assert distance_m(other.lat_deg, other.lon_deg, one.lat_deg, one.lon_deg) == pytest.approx(way_m, rel=0.03)
        assert 589.5e3 < other.altitude_m < 610.5e3 and one.look == other.look
        down = other.ecef_from_cam.T @ ecef_from_ned(other.lat_deg, other.lon_deg)[:, 2]
        assert np.degrees(np.arccos(np.clip(down @ TILTED.down_cam, -1, 1))) < 2.5


def test_a_tilted_reject_set_sees_no_catalogue_where_it_should_not():
    rays = TILTED.camera.rays(TILTED.camera.pixel_grid())
    shots = RejectScenario(TILTED, 70, 4, GROUND).shots()
    for shot in (shot for shot in shots if shot.group in ("off-map", "ocean")):
        lat, lon, _ = geodetic_from_ecef(intersect_ellipsoid(shot.position_ecef_m, rays @ shot.ecef_from_cam.T))
        if shot.group == "off-map":
            assert ((lat < -50) | (lat > 60) | np.isnan(lat)).all()
        else:
            assert ((lon > 0) | np.isnan(lon)).all()


def test_frames_of_land_and_reject_do_not_depend_on_how_many_there_are():
    for scenario in (LandScenario(MISSION, 3, 4, GROUND), RejectScenario(MISSION, 9, 4, GROUND)):
        few, many = scenario.shots(), replace(scenario, frames=3 * scenario.frames).shots()
        assert [shot.index for shot in many] == list(range(3 * scenario.frames))
        for one, other in zip(few, many):
            assert (one.time, one.lat_deg, one.group, one.subject) == (
                other.time, other.lat_deg, other.group, other.subject,
            )  # fmt: skip
            assert one.look == other.look and (one.ecef_from_cam == other.ecef_from_cam).all()


def test_the_reject_set_holds_what_its_names_say():
    shots = RejectScenario(MISSION, 70, 4, GROUND).shots()
    assert Counter(shot.group for shot in shots) == dict.fromkeys(KINDS, 10)
    groups = {name: [shot for shot in shots if shot.group == name] for name in KINDS}
    assert all(shot.lon_deg > 1 for shot in groups["ocean"])  # and the frame's rim as well
    assert all(shot.look.cloud_cover == 1.0 and shot.lon_deg < 0 for shot in groups["overcast"])
    assert all(shot.sun_elevation_deg < -9.9 for shot in groups["night"])
    assert all(shot.sun_elevation_deg > 4.9 for name in KINDS if name != "night" for shot in groups[name])
    assert {shot.subject for shot in groups["moon-like"]} == {MIRRORED, CRATERED}
    assert {shot.subject for shot in groups["garbage"]} == {NOISE, UNIFORM, CHECKERBOARD, BARS, STRIPES}
    rays = MISSION.camera.rays(MISSION.camera.pixel_grid())
    for shot in groups["limb"]:
        seen = np.isfinite(intersect_ellipsoid(shot.position_ecef_m, rays @ shot.ecef_from_cam.T)[:, 0])
        assert 0.02 < seen.mean() < 0.999
    for shot in groups["off-map"]:  # no ray meets the catalogue's latitudes
        ground = intersect_ellipsoid(shot.position_ecef_m, rays @ shot.ecef_from_cam.T)
        from onboard.geodesy import geodetic_from_ecef

        lat = geodetic_from_ecef(ground)[0]
        assert ((lat < -50) | (lat > 60)).all()


def test_where_the_map_reaches_the_poles_nothing_is_off_it():
    everywhere = RejectScenario(replace(MISSION, latitude_band_deg=(-90.0, 90.0)), 12, 4, GROUND)
    assert {shot.group for shot in everywhere.shots()} == set(KINDS) - {"off-map"}
    assert "off the map" in everywhere.description


def test_every_subject_is_what_it_says(monkeypatch):
    monkeypatch.setattr("sim.renderer.OceanMask", NoOcean)
    studio = Studio(MISSION.camera, WavyMosaic())
    shot = RejectScenario(MISSION, 7, 4, Ground(WavyMosaic(), NoOceanNoSea())).shots()[1]
    frames = {}
    for subject in (EARTH, MIRRORED, CRATERED, NOISE, UNIFORM, CHECKERBOARD, BARS, STRIPES):
        seen = studio.observe(replace(shot, subject=subject, look=replace(shot.look, cloud_cover=0.0)))
        frames[subject] = seen.frame
        assert seen.frame.shape == (72, 96, 3) and seen.frame.dtype == np.uint8
        again = studio.observe(replace(shot, subject=subject, look=replace(shot.look, cloud_cover=0.0)))
        assert (again.frame == seen.frame).all()
        assert (seen.earth_share > 0) == (subject in (EARTH, STRIPES, MIRRORED, CRATERED))
    assert np.ptp(frames[UNIFORM].reshape(-1, 3), axis=0).max() == 0
    assert len(np.unique(frames[CHECKERBOARD])) == 2
    same = (frames[STRIPES] == frames[EARTH]).all(axis=(1, 2))
    assert 0.05 < same.mean() < 0.9
    assert [subject for subject in frames if shows_earth(subject)] == [EARTH, STRIPES]
    assert np.abs(frames[MIRRORED].astype(int) - frames[EARTH]).mean() > 2
    assert np.abs(frames[CRATERED].astype(int) - frames[EARTH]).mean() > 2


class NoOceanNoSea:
    """Land but for the far Pacific, so that an ocean is there to be found."""

    def share(self, lat_deg, lon_deg, gsd_m):
        return (np.abs(lon_deg) > 140).astype(np.float32)


def test_the_mirrored_map_shows_the_map_reflected():
    from sim.subjects import _MirroredMosaic

    mosaic = WavyMosaic()
    lat, lon = np.meshgrid([10.0, 11.0], [30.0, 31.0, 32.0], indexing="ij")
    there = _MirroredMosaic(mosaic).sample(lat, lon, 1e3)[0]
    np.testing.assert_array_equal(there, mosaic.sample(lat, -lon, 1e3)[0])


def test_random_orbits_differ_and_their_revolutions_are_as_long_as_kepler_says():
    scenario = draw_orbits(small_mission(), 5, 1.5, 120.0, 6)
    shots = scenario.shots()
    assert len(scenario.flights) == 5 and len(shots) == sum(len(flight.times) for flight in scenario.flights)
    assert Counter(shot.flight for shot in shots) == dict.fromkeys(range(5), len(shots) // 5)
    starts = [flight.times[0] for flight in scenario.flights]
    assert len(set(starts)) == 5 and max(starts) - min(starts) > np.timedelta64(30, "D")
    for flight in scenario.flights:
        # 5,800 s at 600 km; after one the satellite is back over the same inertial place.
        assert flight.revolution_s == pytest.approx(2 * np.pi * np.sqrt(6.971e6**3 / 3.986e14), rel=5e-3)
        assert (flight.times[-1] - flight.times[0]) / np.timedelta64(1, "s") == pytest.approx(
            1.5 * flight.revolution_s, abs=150
        )
        period = np.timedelta64(round(flight.revolution_s * 1e6), "us")
        first, later = flight.orbit.states(np.array([flight.times[0], flight.times[0] + period]))[0]
        from onboard.geodesy import geodetic_from_ecef

        lat, lon, _ = geodetic_from_ecef(np.array([first, later]))
        turned = lon[0] - flight.revolution_s / 86164 * 360  # the Earth has turned below
        assert distance_m(lat[0], turned, lat[1], lon[1]) < 150e3


def test_a_wish_that_no_place_meets_is_named(monkeypatch):
    monkeypatch.setattr("sim.places.ROUNDS", 5)
    with pytest.raises(SimError, match="mapped land was not found in 5 draws"):
        LandScenario(MISSION, 2, 0, Ground(WavyMosaic(), AllOcean())).shots()


class AllOcean:
    def share(self, lat_deg, lon_deg, gsd_m):
        return np.ones(np.shape(lat_deg), np.float32)
