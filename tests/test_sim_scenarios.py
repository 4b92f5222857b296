"""Scenarios: what they promise of their frames, checked on the frames' circumstances."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sim_worlds import NoOcean, WavyMosaic, small_camera, small_mission

from onboard.geodesy import distance_m, ecef_from_ned, geodetic_from_ecef, heading_deg_of, intersect_ellipsoid
from onboard.ground_plane import GroundPlane
from onboard.pose import matrix_from_quat
from sim.attitude_sensors import AttitudeSensors
from sim.errors import SimError
from sim.flight_scenario import draw_orbits
from sim.land_scenario import LandScenario
from sim.places import Ground
from sim.reject_kinds import HARD, REJECT
from sim.reject_scenario import RejectScenario
from sim.scenario import EARTH
from sim.subjects import (
    BARS,
    CHECKERBOARD,
    CRATERED,
    FLIPPED,
    MIRRORED,
    NOISE,
    PAINTED,
    REPEATED,
    STRIPES,
    UNIFORM,
    WRINKLED,
    Studio,
    shows_earth,
)
from sim.worlds import METRES_PER_DEGREE, MirroredMosaic, RepeatedMosaic, WrinkledWorld


class HalfOcean:
    """Sea east of Greenwich."""

    def share(self, lat_deg, lon_deg, gsd_m):
        return (np.asarray(lon_deg) > 0).astype(np.float32)


class Covered(WavyMosaic):
    """Desert south of the equator, farmland north of it up to 30 degrees, forest beyond."""

    def sample(self, lat_deg, lon_deg, gsd_m):
        rgb, valid = super().sample(lat_deg, lon_deg, gsd_m)
        rgb = np.where(lat_deg[..., None] < 0, [170, 145, 110], [70, 70, 38])
        rgb = np.where(lat_deg[..., None] > 30, [28, 42, 14], rgb).astype(np.uint8)
        return rgb, valid


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
    hard = RejectScenario(MISSION, 26, 4, Ground(Covered(), HalfOcean()), hard=True)
    for scenario in (LandScenario(MISSION, 3, 4, GROUND), RejectScenario(MISSION, 9, 4, GROUND), hard):
        few, many = scenario.shots(), replace(scenario, frames=3 * scenario.frames).shots()
        assert [shot.index for shot in many] == list(range(3 * scenario.frames))
        for one, other in zip(few, many):
            assert (one.time, one.lat_deg, one.group, one.subject) == (
                other.time, other.lat_deg, other.group, other.subject,
            )  # fmt: skip
            assert one.misled_deg == other.misled_deg
            assert one.look == other.look and (one.ecef_from_cam == other.ecef_from_cam).all()


@pytest.mark.parametrize("hard", [False, True])
def test_fewer_frames_than_kinds_are_of_the_first_kinds(hard: bool) -> None:
    few, more = (RejectScenario(MISSION, frames, 4, Ground(Covered(), HalfOcean()), hard=hard) for frames in (3, 14))
    assert [shot.seed for shot in few.shots()] == [shot.seed for shot in more.shots()[:3]]
    assert [shot.group for shot in few.shots()] == list(few.kinds)[:3]


def test_the_reject_set_holds_what_its_names_say():
    shots = RejectScenario(MISSION, 70, 4, GROUND).shots()
    assert Counter(shot.group for shot in shots) == dict.fromkeys(REJECT, 10)
    groups = {name: [shot for shot in shots if shot.group == name] for name in REJECT}
    assert all(shot.lon_deg > 1 for shot in groups["ocean"])  # and the frame's rim as well
    assert all(shot.look.cloud_cover == 1.0 and shot.lon_deg < 0 for shot in groups["overcast"])
    assert all(shot.sun_elevation_deg < -9.9 for shot in groups["night"])
    assert all(shot.sun_elevation_deg > 4.9 for name in REJECT if name != "night" for shot in groups[name])
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


def test_the_hard_set_holds_what_its_names_say():
    shots = RejectScenario(MISSION, 120, 4, Ground(Covered(), HalfOcean()), hard=True).shots()
    assert Counter(shot.group for shot in shots) == dict.fromkeys(HARD, 10)
    groups = {name: [shot for shot in shots if shot.group == name] for name in HARD}
    # What is mirrored shows, east of Greenwich, the land west of it.
    assert all(shot.lat_deg < 0 < shot.lon_deg for shot in groups["mirrored deserts"])
    for name in ("mirrored fields", "repeated fields"):
        assert all(0 < shot.lat_deg < 30.5 and shot.lon_deg > 0 for shot in groups[name])
    assert all(shot.lat_deg < 0 > shot.lon_deg for shot in groups["deserts"])
    assert all(0 < shot.lat_deg < 30.5 and shot.lon_deg < 0 for shot in groups["fields"])
    for name in ("painted sea", "cloud streets"):
        assert all(shot.lon_deg > 1 for shot in groups[name])
    assert {shot.look.cloud_kind for shot in groups["cloud streets"]} == {"streets", "open cells", "closed cells"}
    assert all(0.3 <= shot.look.cloud_cover <= 0.8 for shot in groups["cloud streets"])
    assert {round(shot.altitude_m / 600e3, 1) for shot in groups["wrong scale"]} == {0.6, 1.6}
    assert {shot.subject for shot in groups["other worlds"]} == {CRATERED, WRINKLED}
    assert [name for name in HARD if any(shot.misled_deg for shot in groups[name])] == ["wrong heading"]
    assert all(20 <= abs(shot.misled_deg) <= 180 for shot in groups["wrong heading"])


def test_a_misled_runtime_is_told_the_true_axis_and_a_wrong_heading():
    shot = RejectScenario(MISSION, 12, 4, Ground(Covered(), HalfOcean()), hard=True).shots()[9]
    told = matrix_from_quat(np.array(AttitudeSensors().attitude(shot).quat_ecef_from_cam_wxyz))
    np.testing.assert_allclose(told[:, 2], shot.ecef_from_cam[:, 2], atol=1e-9)
    turned = heading_deg_of(told, shot.lat_deg, shot.lon_deg) - shot.heading_deg
    assert (turned - shot.misled_deg + 180) % 360 - 180 == pytest.approx(0.0, abs=2.0)
    assert AttitudeSensors().attitude(replace(shot, misled_deg=None)) is None


def test_where_the_map_reaches_the_poles_nothing_is_off_it():
    everywhere = RejectScenario(replace(MISSION, latitude_band_deg=(-90.0, 90.0)), 12, 4, GROUND)
    assert {shot.group for shot in everywhere.shots()} == set(REJECT) - {"off-map"}
    assert "off the map" in everywhere.description


def test_every_subject_is_what_it_says(monkeypatch):
    monkeypatch.setattr("sim.renderer.OceanMask", NoOcean)
    studio = Studio(MISSION.camera, WavyMosaic())
    shot = RejectScenario(MISSION, 7, 4, Ground(WavyMosaic(), NoOceanNoSea())).shots()[1]
    frames = {}
    worlds = (EARTH, MIRRORED, CRATERED, WRINKLED, REPEATED, PAINTED, FLIPPED, STRIPES)
    for subject in (*worlds, NOISE, UNIFORM, CHECKERBOARD, BARS):
        seen = studio.observe(replace(shot, subject=subject, look=replace(shot.look, cloud_cover=0.0)))
        frames[subject] = seen.frame
        assert seen.frame.shape == (72, 96, 3) and seen.frame.dtype == np.uint8
        again = studio.observe(replace(shot, subject=subject, look=replace(shot.look, cloud_cover=0.0)))
        assert (again.frame == seen.frame).all()
        assert (seen.earth_share > 0) == (subject in worlds)
    assert np.ptp(frames[UNIFORM].reshape(-1, 3), axis=0).max() == 0
    assert len(np.unique(frames[CHECKERBOARD])) == 2
    same = (frames[STRIPES] == frames[EARTH]).all(axis=(1, 2))
    assert 0.05 < same.mean() < 0.9
    assert [subject for subject in frames if shows_earth(subject)] == [EARTH, STRIPES]
    np.testing.assert_array_equal(frames[FLIPPED], frames[EARTH][:, ::-1])
    for subject in (MIRRORED, CRATERED, WRINKLED, REPEATED, PAINTED):
        assert np.abs(frames[subject].astype(int) - frames[EARTH]).mean() > 2


def test_a_mirrored_picture_keeps_its_mask(monkeypatch):
    monkeypatch.setattr("sim.renderer.OceanMask", NoOcean)
    mask = np.ones((72, 96), bool)
    mask[:, :20] = False
    studio = Studio(replace(MISSION.camera, mask=mask), WavyMosaic())
    shot = RejectScenario(MISSION, 7, 4, Ground(WavyMosaic(), NoOceanNoSea())).shots()[1]
    shot = replace(shot, look=replace(shot.look, cloud_cover=0.0))
    plain, flipped = (studio.observe(replace(shot, subject=subject)).frame for subject in (EARTH, FLIPPED))
    np.testing.assert_array_equal(flipped[:, :20], plain[:, :20])
    np.testing.assert_array_equal(flipped[:, 20:], plain[:, ::-1][:, 20:])


class NoOceanNoSea:
    """Land but for the far Pacific, so that an ocean is there to be found."""

    def share(self, lat_deg, lon_deg, gsd_m):
        return (np.abs(lon_deg) > 140).astype(np.float32)


def test_a_repeated_patch_is_the_same_every_so_many_metres():
    mosaic = RepeatedMosaic(WavyMosaic(), 10.0, 30.0, side_m=50e3)
    step_lat = 50e3 / METRES_PER_DEGREE
    step_lon = step_lat / np.cos(np.radians(10.0))
    lat, lon = np.meshgrid(10.0 + np.linspace(-0.2, 0.2, 9), 30.0 + np.linspace(-0.2, 0.2, 9), indexing="ij")
    here = mosaic.sample(lat, lon, 1e3)[0]
    np.testing.assert_array_equal(here, WavyMosaic().sample(lat, lon, 1e3)[0])
    again = mosaic.sample(lat + 2 * step_lat, lon - 3 * step_lon, 1e3)[0]
    assert np.abs(again.astype(int) - here).max() <= 1 and np.ptp(here) > 20


@pytest.mark.parametrize("tilted", [False, True])
def test_a_patch_is_repeated_from_where_the_camera_looks(monkeypatch, tilted):
    mission, centres = TILTED if tilted else MISSION, []
    monkeypatch.setattr("sim.subjects.RepeatedMosaic", lambda mosaic, *place: centres.append(place) or mosaic)
    studio = Studio(mission.camera, WavyMosaic(), NoOcean())
    for shot in RejectScenario(mission, 24, 2, Ground(Covered(), HalfOcean()), hard=True).shots():
        if shot.subject == REPEATED:
            studio.observe(shot)
            axis = intersect_ellipsoid(shot.position_ecef_m, shot.ecef_from_cam[:, 2])
            assert distance_m(*geodetic_from_ecef(axis)[:2], *centres[-1]) < 40e3
            if not tilted:
                np.testing.assert_allclose(centres[-1], (shot.lat_deg, shot.lon_deg), atol=1e-10)
    assert len(centres) == 2


def test_the_wrinkled_world_is_the_same_from_anywhere_and_repeats_nowhere():
    world = WrinkledWorld()
    lat, lon = np.meshgrid(10 + np.arange(64) * 0.01, 30 + np.arange(64) * 0.01, indexing="ij")
    whole, part = world.sample(lat, lon, 1e3)[0], world.sample(lat[16:48], lon[16:48], 1e3)[0]
    # The meridians' distance is taken at the middle of what is asked for, which is the same row.
    np.testing.assert_allclose(whole[16:48].astype(int), part, atol=3)
    others = [world.sample(lat, lon + away, 1e3)[0].astype(float).ravel() for away in (1.0, 7.0, 40.0)]
    assert all(abs(np.corrcoef(whole.ravel(), other)[0, 1]) < 0.3 for other in others) and whole.std() > 8


def test_the_mirrored_map_shows_the_map_reflected():
    mosaic = WavyMosaic()
    lat, lon = np.meshgrid([10.0, 11.0], [30.0, 31.0, 32.0], indexing="ij")
    there = MirroredMosaic(mosaic).sample(lat, lon, 1e3)[0]
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


def test_weather_lasts_for_a_thousand_kilometres_of_the_way():
    shots = draw_orbits(MISSION, 2, 0.3, 20.0, seed=3).shots()
    for flight in (0, 1):
        flown = [shot for shot in shots if shot.flight == flight]
        seeds = [shot.look.cloud_seed for shot in flown]
        starts = [i for i, seed in enumerate(seeds) if i == 0 or seed != seeds[i - 1]]
        assert len(set(seeds)) == len(starts) > 8  # none comes again
        places = [(flown[i].lat_deg, flown[i].lon_deg) for i in starts]
        ways = [float(distance_m(*a, *b)) for a, b in pairwise(places)]
        assert min(ways) > 850e3 and max(ways) < 1200e3
        anchors = {(shot.look.anchor_lat_deg, shot.look.anchor_lon_deg) for shot in flown}
        assert len(anchors) == len(starts)  # the same clouds where frames overlap
    rare = draw_orbits(MISSION, 1, 1.0, 200.0, seed=3).shots()
    assert len({shot.look.cloud_seed for shot in rare}) == len(rare)


def test_a_wish_that_no_place_meets_is_named(monkeypatch):
    monkeypatch.setattr("sim.places.ROUNDS", 5)
    with pytest.raises(SimError, match="mapped land was not found in 5 draws"):
        LandScenario(MISSION, 2, 0, Ground(WavyMosaic(), AllOcean())).shots()


class AllOcean:
    def share(self, lat_deg, lon_deg, gsd_m):
        return np.ones(np.shape(lat_deg), np.float32)
