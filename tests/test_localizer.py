"""The whole pipeline on a real pack: it finds places, it never raises, it says no where it should."""

import csv
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from threadpoolctl import ThreadpoolController

import onboard
from onboard import Attitude, Fix, Localizer, Prior, Status, Vertical
from onboard.blas import one_blas_thread
from onboard.cli_runtime import ALTITUDE_SIGMA
from onboard.clock import Clock
from onboard.features import detect
from onboard.geodesy import distance_m, ecef_from_geodetic, unit_from_latlon
from onboard.headings import Headings
from onboard.images import read_image
from onboard.judgement import judge
from onboard.knowledge import knowledge_of
from onboard.pack import open_pack
from onboard.proposals import agreements
from onboard.recognition import CREDIBLE_SIGMAS
from onboard.voting import Candidate
from tests.look import look

# Land in the middle of the band, round the Earth and over the antimeridian's side of it.
PLACES = [(35.0, 40.0, 10.0), (30.0, 5.0, 200.0), (38.0, 100.0, 300.0), (36.0, -105.0, 77.0), (25.0, 78.0, 145.0)]


def nothing_known(fix: Fix) -> bool:
    numbers = [fix.lat_deg, fix.lon_deg, fix.altitude_m, fix.heading_deg, fix.sigma_m, fix.false_fix_probability]
    arrays = [fix.position_ecef_m, fix.covariance_ecef_m2, fix.quat_ecef_from_cam_wxyz]
    return bool(np.isnan(numbers).all() and all(np.isnan(array).all() for array in arrays))


@pytest.mark.parametrize("lat, lon, heading", PLACES)
def test_finds_the_place(localizer: Localizer, blue_marble: Path, lat: float, lon: float, heading: float) -> None:
    frame = look(blue_marble, localizer.camera, lat, lon, 700e3, heading)
    fix = localizer.localize(frame, timestamp_ns=42)
    assert fix.status is Status.FIX, fix.reason
    assert distance_m(fix.lat_deg, fix.lon_deg, lat, lon) < 7400
    assert abs((fix.heading_deg - heading + 180) % 360 - 180) < 1.0
    truth = ecef_from_geodetic(lat, lon, 700e3)
    off = fix.position_ecef_m - truth
    assert off @ np.linalg.solve(fix.covariance_ecef_m2, off) < 25.0
    assert fix.timestamp_ns == 42 and fix.inliers > 10 and fix.false_fix_probability <= 1e-4
    np.testing.assert_allclose(fix.covariance_ecef_m2, fix.covariance_ecef_m2.T)
    assert np.linalg.eigvalsh(fix.covariance_ecef_m2)[0] > 0


@pytest.mark.parametrize("lat, lon, heading", [PLACES[0], PLACES[2]])
def test_finds_the_place_from_aside_when_told_the_tilt(
    localizer: Localizer, blue_marble: Path, lat: float, lon: float, heading: float
) -> None:
    """30 degrees up towards the top of the picture: the nadir point is 400 km from what the camera looks at."""
    tilted = cv2.Rodrigues(np.array([np.radians(30.0), 0.0, 0.0]))[0]
    frame = look(blue_marble, localizer.camera, lat, lon, 700e3, heading, tilted)
    vertical = Vertical.off_nadir(30.0, 0.0, np.radians(0.5))
    fix = localizer.localize(frame, vertical=vertical)
    assert fix.status is Status.FIX, fix.reason
    half_a_degree_m = 11e3  # half a degree of the vertical, as told, is 8 km of the place, 11 km aslant
    assert distance_m(fix.lat_deg, fix.lon_deg, lat, lon) < half_a_degree_m
    assert abs((fix.heading_deg - heading + 180) % 360 - 180) < 1.0
    off = fix.position_ecef_m - ecef_from_geodetic(lat, lon, 700e3)
    assert off @ np.linalg.solve(fix.covariance_ecef_m2, off) < 25.0
    assert localizer.localize(frame, vertical=replace(vertical, sigma_rad=0.05)).sigma_m > fix.sigma_m
    # A near place is no reason to look for the ground beneath it; nor is an attitude's word of the tilt.
    near = Prior(lat, lon, 20e3)
    attitude = Attitude(tuple(fix.quat_ecef_from_cam_wxyz), 1e-3)
    for told in (
        localizer.localize(frame, vertical=vertical, prior=near),
        localizer.localize(frame, attitude=attitude, prior=near),
    ):
        assert told and distance_m(told.lat_deg, told.lon_deg, lat, lon) < half_a_degree_m


def test_a_camera_mounted_off_nadir(localizer: Localizer, blue_marble: Path) -> None:
    """A mission that mounts its camera so needs to be told nothing."""
    lat, lon, heading = PLACES[0]
    tilted = cv2.Rodrigues(np.array([0.0, -np.radians(25.0), 0.0]))[0]  # the axis turns towards -x, the left
    frame = look(blue_marble, localizer.camera, lat, lon, 700e3, heading, tilted)
    known = knowledge_of(replace(localizer.mission, off_nadir_deg=25.0, off_nadir_direction_deg=270.0))
    best, *_ = localizer.recognitions(localizer.view(frame, localizer.camera, known), localizer.camera, known)
    assert best.pose is not None and localizer.acceptance.accepts(best.weight)
    assert np.linalg.norm(best.pose.position_ecef_m - ecef_from_geodetic(lat, lon, 700e3)) < 15e3


def test_same_frame_same_answer(localizer: Localizer, blue_marble: Path) -> None:
    frame = look(blue_marble, localizer.camera, *PLACES[0][:2], 700e3, 10.0)
    first, second = localizer.localize(frame), localizer.localize(frame)
    assert (first.lat_deg, first.inliers) == (second.lat_deg, second.inliers)


def test_other_sizes_of_the_same_camera(localizer: Localizer, blue_marble: Path) -> None:
    frame = look(blue_marble, localizer.camera.scaled_to(1280, 1280), *PLACES[0][:2], 700e3, 10.0)
    large = localizer.localize(frame)
    small = localizer.localize(cv2.resize(frame, (640, 640), interpolation=cv2.INTER_AREA))
    assert large and small
    assert distance_m(large.lat_deg, large.lon_deg, small.lat_deg, small.lon_deg) < 4000


def test_grey_frames(localizer: Localizer, blue_marble: Path) -> None:
    frame = look(blue_marble, localizer.camera, *PLACES[1][:2], 700e3, 200.0)
    assert localizer.localize(frame[:, :, 1].copy()).status is Status.FIX


def test_mirrored_frames_get_no_fix(localizer: Localizer, blue_marble: Path) -> None:
    for lat, lon, heading in PLACES:
        frame = look(blue_marble, localizer.camera, lat, lon, 700e3, heading)[:, ::-1]
        fix = localizer.localize(np.ascontiguousarray(frame))
        assert fix.status is Status.NO_MATCH and nothing_known(fix), fix


def test_wrong_scale_gets_no_fix(localizer: Localizer, blue_marble: Path) -> None:
    frame = look(blue_marble, localizer.camera, *PLACES[0][:2], 700e3, 10.0)
    assert not localizer.localize(frame, altitude_m=(1100e3, 5e3))


def test_off_map_gets_no_fix(localizer: Localizer, blue_marble: Path) -> None:
    frame = look(blue_marble, localizer.camera, -25.0, 135.0, 700e3, 10.0)
    assert not localizer.localize(frame)


def test_knowledge_is_used(localizer: Localizer, blue_marble: Path) -> None:
    lat, lon, heading = PLACES[2]
    frame = look(blue_marble, localizer.camera, lat, lon, 700e3, heading)
    plain = localizer.localize(frame)
    attitude = Attitude(tuple(plain.quat_ecef_from_cam_wxyz), 1e-4)
    told = localizer.localize(frame, altitude_m=(700e3, 100.0), attitude=attitude, prior=Prior(lat, lon, 50e3))
    assert told and told.sigma_m < plain.sigma_m
    assert not localizer.localize(frame, prior=Prior(-lat, lon + 90, 50e3)), "a prior elsewhere forbids the place"


@pytest.mark.parametrize(
    "frame, status",
    [
        (None, Status.BAD_FRAME),
        ("frame.jpg", Status.BAD_FRAME),
        (np.zeros((640, 640, 3), np.float32), Status.BAD_FRAME),
        (np.zeros((640, 640, 4), np.uint8), Status.BAD_FRAME),
        (np.zeros((640, 480, 3), np.uint8), Status.BAD_FRAME),
        (np.zeros((0, 0), np.uint8), Status.BAD_FRAME),
        (np.zeros((640, 640, 3), np.uint8), Status.DARK),
        (np.full((640, 640, 3), 255, np.uint8), Status.SATURATED),
        (np.full((640, 640, 3), 128, np.uint8), Status.FEATURELESS),
    ],
)
def test_statuses_name_the_cause(localizer: Localizer, frame: object, status: Status) -> None:
    fix = localizer.localize(frame)
    assert fix.status is status and fix.reason and nothing_known(fix)


@pytest.mark.parametrize(
    ("knowledge", "named"),
    [
        ({"altitude_m": (float("nan"), 1.0)}, "altitude_m is (nan, 1.0)"),
        ({"altitude_m": (700e3, 0.0)}, "sigma of altitude_m"),
        ({"altitude_m": (700.0, 10.0)}, "altitude_m is 700 m"),
        ({"altitude_m": 700e3}, "altitude_m is 700000.0"),
        ({"altitude_m": "high"}, "altitude_m is 'high'"),
        ({"prior": Prior(0, 0, -1.0)}, "prior.sigma_m"),
        ({"prior": Prior(float("nan"), 0, 1.0)}, "place of prior"),
        ({"prior": Prior("48", 11, 1e3)}, "place of prior"),
        ({"prior": Prior(100.0, 0, 1e3)}, "prior.lat_deg is 100"),
        ({"prior": Prior(20.0, 1e300, 1e3)}, "prior.lon_deg is 1e"),
        ({"mount_heading_deg": 1e300}, "mount_heading_deg is 1e"),
        ({"prior": (48, 11, 1e3)}, "prior is a tuple"),
        ({"attitude": Attitude((0, 0, 0, 0), 0.1)}, "attitude.quat_ecef_from_cam_wxyz"),
        ({"attitude": Attitude((1, 0, 0, 0), float("inf"))}, "attitude.sigma_rad"),
        ({"attitude": Attitude((1e-200, 0, 0, 0), 0.1)}, "give a unit vector"),  # its squares are none
        ({"vertical": Vertical((0, 5e199, 1e200), 0.1)}, "give a unit vector"),
        ({"vertical": Vertical((0, 0, 0), 0.1)}, "vertical.down_cam"),
        ({"vertical": Vertical((0, 1), 0.1)}, "vertical.down_cam"),
        ({"vertical": Vertical((0, 0, 1), 0.0)}, "vertical.sigma_rad"),
        ({"vertical": Vertical((0, 0, 1), 1e-160)}, "vertical.sigma_rad is 1e-160: give 1e-06 or more"),
        ({"vertical": Vertical((0, 0, 1), 0.1)}, "vertical.sigma_rad is 0.1: give 0.0873 or less"),
        ({"attitude": Attitude((1, 0, 0, 0), 1e-300)}, "attitude.sigma_rad is 1e-300"),
        ({"prior": Prior(0, 0, 1e-8)}, "prior.sigma_m is 1e-08: give 1 or more"),
        ({"vertical": Vertical.off_nadir(55.0, 0.0, 0.01)}, "off nadir"),
        ({"vertical": Vertical.off_nadir(80.0, 0.0, 0.01)}, "off nadir"),
        ({"vertical": (0, 0, 1)}, "vertical is a tuple"),
        ({"mount_heading_deg": "ahead"}, "mount_heading_deg is ['ahead']: give degrees"),
        ({"mount_heading_deg": float("nan")}, "mount_heading_deg is [nan]"),
        ({"deadline_ms": float("nan")}, "deadline_ms is nan"),
        ({"deadline_ms": "soon"}, "deadline_ms is 'soon'"),
        ({"altitude_m": (10**400, 1e3)}, "altitude_m is ("),
        ({"deadline_ms": 10**400}, "deadline_ms is 1000"),
    ],
)
def test_senseless_knowledge_is_named_and_no_fix(
    localizer: Localizer, blue_marble: Path, knowledge: dict, named: str
) -> None:
    frame = look(blue_marble, localizer.camera, *PLACES[0][:2], 700e3, 10.0)
    fix = localizer.localize(frame, **knowledge)
    assert fix.status is Status.BAD_FRAME and nothing_known(fix) and named in fix.reason, fix.reason


def test_a_mounting_is_told_and_rules_no_place_out(localizer: Localizer, blue_marble: Path) -> None:
    frame = look(blue_marble, localizer.camera, *PLACES[0][:2], 700e3, 10.0)
    known, *fixes = (localizer.localize(frame, mount_heading_deg=mount) for mount in (None, 20.0, 110.0, -160.0))
    assert known and localizer.knowledge(mount_heading_deg=20).headings == Headings(
        20.0, localizer.mission.orbit.inclination_deg
    )
    for fix in fixes:
        assert fix and distance_m(fix.lat_deg, fix.lon_deg, known.lat_deg, known.lon_deg) < 100


def test_deadline(localizer: Localizer, blue_marble: Path) -> None:
    frame = look(blue_marble, localizer.camera, *PLACES[0][:2], 700e3, 10.0)
    fix = localizer.localize(frame, deadline_ms=1.0)
    assert fix.status is Status.TIMEOUT and nothing_known(fix)


def test_a_deadline_holds_while_others_are_served(localizer: Localizer, blue_marble: Path) -> None:
    frame = look(blue_marble, localizer.camera, *PLACES[0][:2], 700e3, 10.0)
    with localizer._looking():  # another caller's frame
        started = time.monotonic()
        fix = localizer.localize(frame, deadline_ms=50.0)
        assert 0.04 < time.monotonic() - started < 5
    assert fix.status is Status.TIMEOUT and "50 ms" in fix.reason and nothing_known(fix)
    assert localizer.localize(frame, deadline_ms=1e300), "and the next frame is served, whatever its deadline"


def test_the_describers_are_not_asked_past_the_deadline(
    localizer: Localizer, blue_marble: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = look(blue_marble, localizer.camera, *PLACES[0][:2], 700e3, 10.0)

    def slow(*asked: Any) -> list[cv2.KeyPoint]:
        time.sleep(1.0)
        return detect(*asked)

    def never(*asked: Any) -> None:
        raise AssertionError("asked in vain")

    monkeypatch.setattr("onboard.features.detect", slow)
    monkeypatch.setattr(localizer.describer, "describe", never, raising=False)
    fix = localizer.localize(frame, deadline_ms=900.0)
    assert fix.status is Status.TIMEOUT, fix.reason


def test_all_threads_share_one_limit_of_blas_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        def __init__(self) -> None:
            time.sleep(0.05)

    monkeypatch.setattr("onboard.blas._limit", lru_cache(maxsize=1)(Slow))
    with ThreadPoolExecutor(4) as threads:
        assert len({id(one) for one in threads.map(lambda _: one_blas_thread(), range(4))}) == 1


def test_blas_gets_its_threads_back_from_the_last_of_several() -> None:
    limit, blas = one_blas_thread(), ThreadpoolController().select(threading_layer="pthreads")

    def threads() -> set[int]:
        return {library["num_threads"] for library in blas.info()}

    with blas.limit(limits=2):
        first, second = limit.held(), limit.held()
        for held in (first, second):
            held.__enter__()
            assert threads() == {1}
        first.__exit__(None, None, None)
        assert threads() == {1}, "the second still works"
        second.__exit__(None, None, None)
        assert threads() == {2}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(hnp.arrays(np.uint8, st.sampled_from([(640, 640), (640, 640, 3), (64, 64, 3), (16, 16)])))
def test_never_raises_on_any_bytes(localizer: Localizer, frame: np.ndarray) -> None:
    fix = localizer.localize(frame)
    assert fix.status is not Status.FIX and nothing_known(fix) and "internal" not in fix.reason


def test_noise_gets_no_fix(localizer: Localizer, rng: np.random.Generator) -> None:
    import cv2

    for blur in (0.5, 2, 6):
        noise = cv2.GaussianBlur(rng.normal(128, 60, (640, 640, 3)), (0, 0), blur)
        noise = (128 + (noise - 128) / noise.std() * 40).clip(0, 255).astype(np.uint8)
        assert localizer.localize(noise).status in (Status.NO_MATCH, Status.FEATURELESS)


def test_module_localize_uses_the_named_pack(
    pack: Path, blue_marble: Path, localizer: Localizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NADIR_PACK", str(pack))
    assert onboard.default_pack() == pack
    assert onboard.localize(look(blue_marble, localizer.camera, *PLACES[0][:2], 700e3, 10.0)).status is Status.FIX


def test_two_far_places_are_ambiguous(localizer: Localizer, blue_marble: Path) -> None:
    frame = look(blue_marble, localizer.camera, *PLACES[0][:2], 700e3, 10.0)
    known, acceptance = localizer.knowledge(), localizer.acceptance
    best, *_ = localizer.recognitions(localizer.view(frame, localizer.camera, known), localizer.camera, known)
    assert best.pose is not None
    elsewhere = replace(best, pose=replace(best.pose, position_ecef_m=-best.pose.position_ecef_m))
    assert judge([best, elsewhere], acceptance, 25e3, None, {}).status is Status.AMBIGUOUS
    beside = replace(best, pose=replace(best.pose, position_ecef_m=best.pose.position_ecef_m + 1e4))
    assert judge([best, beside], acceptance, 25e3, None, {}).status is Status.FIX
    nothing = judge([replace(best, recognised=0, weight=0.0)], acceptance, 25e3, None, {})
    assert nothing.status is Status.NO_MATCH and nothing.reason.startswith("no place shows any of its landmarks")
    assert judge([], acceptance, 25e3, None, {}).reason == nothing.reason


@pytest.mark.parametrize("enough, verified", [(10.0, 4), (np.inf, 8)])
def test_verification_stops_when_a_place_is_certain(
    localizer: Localizer, blue_marble: Path, enough: float, verified: int
) -> None:
    seen = localizer.examine(look(blue_marble, localizer.camera, *PLACES[0][:2], 700e3, 10.0))
    assert seen.fix.status is Status.FIX and seen.view is not None and seen.agreements[0].support > 10
    candidates = [seen.agreements[0].candidate] * 8
    found = agreements(
        localizer._verifier, candidates, seen.view, seen.worldwide, enough, localizer._threads, Clock(None)
    )
    assert len(found) == verified
    assert {one.support for one in found} == {seen.agreements[0].support}


def test_a_tracker_is_told_of_all_places(localizer: Localizer, blue_marble: Path) -> None:
    """What was recognised comes first, then every agreement with a pose, best score first."""
    frame = look(blue_marble, localizer.camera, *PLACES[0][:2], 700e3, 10.0)
    sighting = localizer.sight(frame)
    best, *others = sighting.places
    assert best.pose is not None and best.inliers == sighting.fix.inliers
    np.testing.assert_allclose(best.pose.position_ecef_m, sighting.fix.position_ecef_m)
    scores = [place.score for place in others]
    assert others and scores == sorted(scores, reverse=True) and all(place.pose for place in others)
    assert sighting.view is not None and sighting.camera is not None and sighting.known is not None
    verified = localizer.verified(sighting.view, sighting.camera, sighting.known)
    assert scores == pytest.approx([place.score for place in verified if place.pose])
    assert not localizer.examine(frame).hypotheses, "one frame alone is not judged by them"


def test_a_tracker_looks_where_it_expects_the_frame(localizer: Localizer, blue_marble: Path) -> None:
    """Weight that agrees and landmarks recognised speak for the right place; nothing much does for others."""
    lat, lon, heading = PLACES[0]
    sighting = localizer.sight(look(blue_marble, localizer.camera, lat, lon, 700e3, heading))
    asked = [(lat, lon, heading), (lat, lon, heading + 90.0), *PLACES[1:]]
    candidates = [Candidate(tuple(unit_from_latlon(*place).tolist()), turn, 0) for *place, turn in asked]
    right, *others = localizer.check(sighting, candidates)
    assert right.pose is not None and right.inliers > 0.9 * sighting.fix.inliers and right.score > 1.5 * right.inliers
    assert max(other.score for other in others) < right.score / 5
    rejected = localizer.sight(np.zeros((640, 640, 3), np.uint8))
    assert [place.score for place in localizer.check(rejected, candidates[:2])] == [0.0, 0.0]


@pytest.mark.real
def test_real_photographs(shared: Path) -> None:
    """The packaged pack on real photographs: places found, none wrong, ocean and glare without a fix."""
    localizer = Localizer(camera=shared / "iss" / "izzy_ov5647.yaml")
    with (shared / "iss" / "frames.csv").open() as stream:
        rows = [row for number, row in enumerate(csv.DictReader(stream)) if number % 4 == 0]
    solved = 0
    for row in rows:
        fix = localizer.localize(read_image(shared / "iss" / row["file"]), altitude_m=(405e3, 4e3))
        if fix:
            assert distance_m(fix.lat_deg, fix.lon_deg, float(row["lat_deg"]), float(row["lon_deg"])) < 25e3, row
            assert row["label"] not in ("ocean", "glare")
            solved += 1
    assert solved >= 3


def test_the_packaged_pack_is_whole_and_small() -> None:
    pack = open_pack(onboard.default_pack())
    assert pack.size <= 32 * 2**20 and pack.mission.name == "iss-405km"
    assert not any(name.endswith((".jpg", ".tif")) for name in pack.files)


def test_the_edge_of_the_picture_does_not_lift_the_camera(localizer: Localizer, blue_marble: Path) -> None:
    """Landmarks cut by the edge, were they measured, would all seem nearer to the middle than they are: 3.9 km."""
    off_m = []
    for lat, lon, heading in PLACES:
        frame = look(blue_marble, localizer.camera, lat, lon, 700e3, heading)
        off_m.append(localizer.localize(frame, altitude_m=(700e3, 50e3)).altitude_m - 700e3)
    assert abs(np.mean(off_m)) < 3e3


def test_a_focal_length_that_is_off_is_another_altitude(localizer: Localizer, blue_marble: Path) -> None:
    """A fix where the altitude's sigma leaves room for it, and otherwise none, with the altitude in the reason."""
    camera = replace(localizer.camera, fx=localizer.camera.fx / 1.04, fy=localizer.camera.fy / 1.04)
    for lat, lon, heading in PLACES[:3]:
        frame = look(blue_marble, camera, lat, lon, 700e3, heading)
        fix = localizer.localize(frame, altitude_m=(700e3, ALTITUDE_SIGMA * 700e3))
        assert fix and distance_m(fix.lat_deg, fix.lon_deg, lat, lon) < 7400, fix.reason
        refused = localizer.localize(frame, altitude_m=(700e3, 2e3))
        assert refused.status is Status.NO_MATCH and "contradicts the altitude" in refused.reason, refused.reason


@pytest.mark.parametrize("tilt_deg", [10.0, 20.0, 30.0])
def test_a_tilt_that_is_not_told_gives_no_wrong_fix(localizer: Localizer, blue_marble: Path, tilt_deg: float) -> None:
    """The place is recognised, from a pose that the landmarks alone tell to be another than the told one."""
    tilted = cv2.Rodrigues(np.array([np.radians(tilt_deg), 0.0, 0.0]))[0]
    for lat, lon, heading in PLACES[:3]:
        evidence = localizer.examine(look(blue_marble, localizer.camera, lat, lon, 700e3, heading, tilted))
        assert evidence.fix.status is Status.NO_MATCH and nothing_known(evidence.fix)
        best = evidence.recognitions[0]
        assert (
            best.pose is None
            and best.contradiction.sigmas > CREDIBLE_SIGMAS
            and evidence.fix.inliers == best.recognised
        )
        if localizer.acceptance.accepts(best.weight):
            assert f"contradicts the {best.contradiction.told} that" in evidence.fix.reason


def test_blas_gets_one_thread_while_a_frame_is_looked_at(localizer: Localizer, monkeypatch: pytest.MonkeyPatch) -> None:
    blas = ThreadpoolController().select(threading_layer="pthreads")
    assert blas.info(), "NumPy brings its own"

    def threads() -> list[int]:
        return [library["num_threads"] for library in blas.info()]

    seen = []
    monkeypatch.setattr(localizer, "_localize", lambda *_: seen.append(threads()))
    with blas.limit(limits=2):
        localizer.localize(np.zeros((480, 640, 3), np.uint8))
        assert set(seen[0]) == {1} and set(threads()) == {2}
