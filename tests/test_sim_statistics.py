"""Statistics on constructed fixes: what is wrong must be counted wrong."""

import cv2
import numpy as np
import pytest
from scipy import stats

from onboard.camera import Camera
from onboard.fix import Status, no_fix
from onboard.geodesy import (
    destination,
    distance_m,
    ecef_from_geodetic,
    ecef_from_nadir_camera,
    geodetic_from_ecef,
    intersect_ellipsoid,
    unit_from_latlon,
)
from onboard.pose import quat_from_matrix
from sim.breakdown import BREAKDOWNS, bin_of
from sim.cli import table
from sim.consistency import consistency
from sim.first_fix import first_fixes
from sim.footprint import swath_m
from sim.judgement import BestPlace, fix_record
from sim.proportion import at_most, wilson_interval
from sim.reliability import reliability
from sim.report import _accuracy, _first_fix, _known, _wrong_note
from sim.statistics import campaign_statistics, classes_of, outcome, right_within_m


def _truth(index=0, sun=40.0, land=1.0, cloud=0.0, **more):
    return {
        "index": index, "group": "orbit", "flight": None, "lat_deg": 12.0, "off_nadir_deg": 0.4,
        "sun_elevation_deg": sun, "land_share": land, "cloud_cover": cloud,
    } | more  # fmt: skip


def _fix(error_m=None, status="FIX", latency_ms=10.0, **more):
    return {
        "status": status, "error_m": error_m, "latency_ms": latency_ms, "normalised_error2": None, "inliers": 20,
        "best_score": None, "best_probability": None, "best_error_m": None, "sigma_m": 5e3,
        "false_fix_probability": 1e-5,
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_intervals_are_the_published_ones(hits, trials, low, high):
    assert wilson_interval(hits, trials) == pytest.approx((low, high), abs=6e-5)


def test_no_trials_say_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert at_most(0, 0) == 1.0


def test_no_wrong_fix_bounds_their_share_by_the_rule_of_three():
    assert at_most(0, 30_000) == pytest.approx(1e-4, rel=2e-3)
    assert at_most(0, 100) == pytest.approx(stats.beta.ppf(0.95, 1, 100), rel=1e-9)  # Clopper and Pearson's bound
    assert at_most(1, 100) == pytest.approx(stats.beta.ppf(0.95, 2, 99), rel=1e-9)


def test_breakdowns_count_every_frame_of_the_earth_once_and_no_other():
    rng = np.random.default_rng(0)
    truths = [
        _truth(i, sun=rng.uniform(-90, 90), land=rng.random(), cloud=rng.random(), lat_deg=rng.uniform(-90, 90),
               off_nadir_deg=rng.gamma(1.0))
        for i in range(200)
    ]  # fmt: skip
    # The ends of every range, and a frame that does not show the Earth.
    truths += [_truth(sun=sun, land=end, cloud=end, lat_deg=lat, off_nadir_deg=off)
               for sun, end, lat, off in ((-90.0, 0.0, -90.0, 0.0), (90.0, 1.0, 90.0, 180.0))]  # fmt: skip
    truths.append(_truth(lat_deg=None, off_nadir_deg=None, group="garbage"))
    fixes = [_fix(1e3) if i % 3 else _fix(1e6) for i in range(len(truths) - 1)]
    report = campaign_statistics(truths, [*fixes, _fix(None)], 400e3)
    assert set(report["breakdowns"]) == {"latitude", "cloud_cover", "sun_elevation", "land_share", "off_nadir"}
    for bins in report["breakdowns"].values():
        assert sum(each["frames"] for each in bins) == 202
        assert sum(each["wrong"] for each in bins) == report["all"]["wrong"] - 1  # a fix of garbage is wrong
    assert report["groups"]["garbage"]["wrong"] == 1
    assert BREAKDOWNS["latitude"].labels[bin_of(-45.0, BREAKDOWNS["latitude"])] == "-45 to -30"
    assert BREAKDOWNS["cloud_cover"].labels[bin_of(0.199, BREAKDOWNS["cloud_cover"])] == "10 to 20"


def test_the_bands_are_those_of_the_printed_tables():
    # Bar-Shalom, Li and Kirubarajan (2001), table 1.5.4-1: chi-squared at 2.5 and 97.5 %.
    def fixes(error2, n=1):
        return [_fix(1.0, normalised_error2=error2, error_neu_m=[1.0, 1.0, 1.0], sigma_neu_m=[1.0, 1.0, 1.0])] * n

    for inside, error2 in ((0, 0.21), (1, 0.22), (1, 9.34), (0, 9.36)):
        assert consistency(fixes(error2), own_pointing=True)["joint"]["inside95"] == inside
    ten = consistency(fixes(1.0, 10), own_pointing=True)
    assert ten["joint"]["mean_band95"] == pytest.approx([1.679, 4.698], abs=2e-3)  # 30 d.o.f.
    assert ten["axes"]["up"]["mean_band95"] == pytest.approx([0.325, 2.048], abs=2e-3)


def test_frames_that_share_their_pointing_do_not_say_how_far_an_honest_mean_may_be_off():
    fix = _fix(1.0, normalised_error2=3.0, error_neu_m=[1.0, 1.0, 1.0], sigma_neu_m=[1.0, 1.0, 1.0])
    for flight, told in ((None, True), (0, False)):
        truths = [_truth(i, flight=flight, time_utc=f"2026-07-01T10:0{i}:00.000000Z") for i in range(3)]
        wrong = _fix(9e5) | {"normalised_error2": 9.0}
        statistics = campaign_statistics(truths, [fix, fix, wrong], 400e3, [] if flight is None else [6e3])
        joint = statistics["consistency"]["joint"]
        assert joint["n"] == 2 and joint["inside95"] == 1.0
        assert (joint["mean_band95"] is not None) == told
        assert (statistics["consistency"]["by_inliers"][2]["axes"]["up"]["mean_band95"] is not None) == told
        page = _accuracy([fix, fix, wrong], statistics)
        assert ("How far an honest mean may be off is not told" in page) == (not told)
        assert ("honest mean, 95 %" in page) == told and "(1 wrong ones are left out)" in page
        assert "inside the 95 % band (1 wrong left out)" in table(statistics)


@pytest.mark.parametrize(("stretch", "inside", "mean"), [(1.0, 0.95, 3.0), (2.0, 0.49, 12.0)])
def test_honest_covariances_are_told_from_small_ones(stretch, inside, mean):
    rng = np.random.default_rng(5)
    sigma = np.array([300.0, 500.0, 900.0])
    fixes = []
    for _ in range(4000):
        error = stretch * sigma * rng.normal(size=3)
        fixes.append(_fix(1.0, error_neu_m=error.tolist(), sigma_neu_m=sigma.tolist(), inliers=int(rng.integers(4, 60)),
                          normalised_error2=float(((error / sigma) ** 2).sum())))  # fmt: skip
    report = consistency(fixes, own_pointing=True)
    assert report["joint"]["inside95"] == pytest.approx(inside, abs=0.02)
    assert report["joint"]["mean"] == pytest.approx(mean, rel=0.04)
    low, high = report["joint"]["mean_band95"]
    assert (low < report["joint"]["mean"] < high) == (stretch == 1.0)
    for axis in ("north", "east", "up"):
        assert report["axes"][axis]["mean"] == pytest.approx(mean / 3, rel=0.08)
    assert sum(each["n"] for each in report["by_inliers"]) == 4000
    for each in report["by_inliers"]:
        for axis in each["axes"].values():
            assert axis["n"] == each["n"]
            assert each["n"] == 0 or axis["mean"] == pytest.approx(mean / 3, rel=0.15)


@pytest.mark.parametrize(("optimism", "honest"), [(1.0, True), (5.0, False)])
def test_honest_probabilities_are_told_from_optimistic_ones(optimism, honest):
    """Frames that show nothing known: their best scores' true tail is uniform; one who is optimistic states a fifth."""
    rng = np.random.default_rng(7)
    truths = [_truth(i, lat_deg=None, group=("a", "b")[i % 2]) for i in range(4000)]
    chances = rng.uniform(size=4000)
    fixes = [
        _fix(status="NO_MATCH", best_score=8.0, best_probability=chance / optimism if chance < 0.1 else 1.0)
        for chance in chances
    ]
    report = reliability(truths, fixes, 25e3)
    assert report["frames"] == 4000 and report["least_stated"] == pytest.approx(chances.min() / optimism)
    levels = {each["stated"]: each for each in report["levels"]}
    assert levels[0.01]["frames"] == sum(chances <= 0.01 * optimism)
    assert (levels[0.01]["low95"] <= 0.01) == honest
    assert levels[1e-6]["frames"] == 0 and levels[1e-6]["at_most95"] == pytest.approx(3 / 4000, rel=0.01)
    assert {name: each["frames"] for name, each in report["groups"].items()} == {"a": 2000, "b": 2000}


def test_only_frames_whose_best_place_is_wrong_tell_of_false_fixes():
    truths = [_truth(0), _truth(1), _truth(2, lat_deg=None), _truth(3, group="dark")]
    fixes = [
        _fix(1e3, best_score=40.0, best_probability=1e-9, best_error_m=1e3),
        _fix(status="NO_MATCH", best_score=9.0, best_probability=0.05, best_error_m=4e6),
        _fix(None, best_score=16.0, best_probability=1e-5),  # a world that is not the Earth: no error can be told
        _fix(status="DARK", best_score=0.0, best_probability=1.0),
    ]
    report = reliability(truths, fixes, 25e3)
    assert (report["frames"], report["searched"], report["best_score"]) == (3, 2, 16.0)
    assert report["groups"]["dark"]["searched"] == 0
    assert reliability(truths[:1], fixes[:1], 25e3) is None
    assert reliability(truths, [_fix(status="LOST")] * 4, 25e3) is None


@pytest.mark.parametrize("off_m", [0.0, 300e3])
def test_a_place_without_a_pose_is_told_by_where_it_looks(off_m):
    """A right place seen from a height that contradicts what was told is not a wrong place."""
    rotation = ecef_from_nadir_camera(40.0, 10.0, 30.0) @ cv2.Rodrigues(np.array([0.1, 0.0, 0.0]))[0]
    position = ecef_from_geodetic(40.0, 10.0, 500e3)
    truth = _truth(
        lon_deg=10.0, position_ecef_m=position.tolist(), quat_ecef_from_cam_wxyz=quat_from_matrix(rotation).tolist()
    ) | {"lat_deg": 40.0}
    lat, lon, _ = geodetic_from_ecef(intersect_ellipsoid(position, rotation[:, 2]))
    assert 40e3 < distance_m(lat, lon, 40.0, 10.0) < 60e3
    aim = unit_from_latlon(*destination(lat, lon, 70.0, off_m))
    refused = no_fix(Status.NO_MATCH, "contradicts what was told")

    def error_m(truth, best):
        return fix_record(truth, refused, 1.0, 1.0, best)["best_error_m"]

    assert error_m(truth, BestPlace(40.0, 1e-9, None, aim)) == pytest.approx(off_m, abs=1.0)
    assert error_m(truth, BestPlace(0.0, 1.0, None)) is None
    assert error_m({**truth, "position_ecef_m": None}, BestPlace(40.0, 1e-9, None, aim)) is None


def test_the_time_to_the_first_fix_counts_right_ones_only_and_orbits_without():
    def frame(flight, minute, error_m=None):
        truth = _truth(flight=flight, time_utc=f"2026-07-01T10:{minute:02d}:00.000000Z")
        fix = _fix(error_m, "FIX" if error_m else "NO_MATCH")
        return truth, fix, outcome(fix, 25e3)

    pairs = [
        frame(0, 0), frame(0, 5, 8e3), frame(0, 9, 2e3), frame(0, 30), frame(0, 50),  # found at 5, within 5 km at 9
        frame(1, 0, 9e5), frame(1, 30), frame(1, 50, 1e3),  # a wrong one first; found after its revolution
        frame(2, 0), frame(2, 50),  # never
    ]  # fmt: skip
    report = first_fixes(pairs, [2400.0, 2400.0, 2400.0])
    first, second, third = report["flights"]
    assert (first["first_fix_s"], first["first_accurate_fix_s"]) == (300.0, 540.0)
    assert (second["first_fix_s"], second["first_was_wrong"]) == (3000.0, True)
    assert third["first_fix_s"] is None and report["never"] == 1
    assert report["within_one_revolution"]["value"] == pytest.approx(1 / 3)
    assert report["median_first_fix_s"] == 3000.0  # of three; never comes last
    assert first_fixes(pairs, []) is None
    lost = first_fixes([frame(0, 0), frame(0, 50, 1e3), frame(1, 0), frame(1, 50), *pairs[-2:]], [2400.0] * 3)
    assert lost["never"] == 2 and lost["median_first_fix_s"] is None
    assert "half of the orbits or more never" in _first_fix(lost)


def test_flights_shorter_than_a_revolution_do_not_tell_what_one_brings():
    def report(minutes):
        pairs = []
        for flight in (0, 1):
            for minute in minutes:
                truth = _truth(flight=flight, time_utc=f"2026-07-01T10:{minute:02d}:00.000000Z")
                pairs.append((truth, _fix(1e3), "right"))
        return first_fixes(pairs, [2400.0, 2400.0])

    short, whole = report(range(0, 30, 10)), report(range(0, 40, 10))  # the next would be after 40 minutes
    assert short["within_one_revolution"] is None and short["accurate_within_one_revolution"] is None
    assert whole["within_one_revolution"]["value"] == 1.0
    assert "within one revolution" in _first_fix(whole) and "within one revolution" not in _first_fix(short)
    assert "flown for less than one revolution" in _first_fix(short)
    statistics = campaign_statistics([_truth()], [_fix(1e3)], 400e3)
    assert "first fix: in 2 of 2 orbits, flown for less" in table(statistics | {"first_fix": short})
    assert "first fix within one revolution: 100%" in table(statistics | {"first_fix": whole})


def test_a_fix_is_right_within_25_km_or_three_hundredths_of_the_swath():
    assert right_within_m(413e3) == 25e3
    assert right_within_m(1500e3) == 45e3


@pytest.mark.parametrize(
    ("fix", "expected"),
    [
        (_fix(24_999.0), "right"),
        (_fix(25_001.0), "wrong"),
        (_fix(float("nan")), "wrong"),
        (_fix(None), "wrong"),  # a fix without a place is no success
        (_fix(status="NO_MATCH"), "none"),
        (_fix(10.0, status="DARK"), "none"),
    ],
)
def test_outcomes(fix, expected):
    assert outcome(fix, 25e3) == expected


def test_solved_and_wrong_are_counted_apart_and_by_class():
    truths = [
        _truth(0), _truth(1, cloud=0.4), _truth(2, cloud=0.9), _truth(3, sun=-30.0), _truth(4, sun=0.0),
        _truth(5, land=0.0), _truth(6, land=0.3), _truth(7),
    ]  # fmt: skip
    fixes = [
        _fix(1000.0), _fix(3000.0), _fix(9e5), _fix(2e6), _fix(status="DARK"), _fix(status="FEATURELESS"),
        _fix(5000.0), _fix(status="NO_MATCH", latency_ms=90.0),
    ]  # fmt: skip
    report = campaign_statistics(truths, fixes, 400e3)
    total = report["all"]
    assert (total["frames"], total["solved"], total["wrong"], total["no_fix"]) == (8, 3, 2, 3)
    assert total["nadir_error_m"]["median"] == 3000.0  # of the right ones only
    assert total["wrong_rate"]["value"] == 0.25 and total["wrong_rate"]["high95"] > 0.25
    # Five fixes state 5 km, of which one in 268,000 lies beyond 25, and another place once in 100,000.
    assert total["wrong_stated"] == pytest.approx(5 * (np.exp(-12.5) + 1e-5)) and "were due" in _wrong_note(report)
    silent = campaign_statistics(truths, [*fixes[:-1], _fix(1e3, sigma_m=None)], 400e3)
    assert silent["all"]["wrong_stated"] > 1  # what states nothing is not believed
    night, land = report["classes"]["night"], report["classes"]["day land"]
    assert (night["frames"], night["wrong"]) == (1, 1)
    assert (land["frames"], land["solved"], land["wrong"], land["no_fix"]) == (4, 2, 1, 1)
    assert report["classes"]["day land mostly cloud"]["wrong"] == 1
    assert report["classes"]["twilight"]["frames"] == 1
    assert report["statuses"] == {"DARK": 1, "FEATURELESS": 1, "FIX": 5, "NO_MATCH": 1}
    assert report["latency_ms"]["median"] == 10.0


def test_what_wrong_headings_were_told_is_not_hidden():
    truths, fixes = [_truth(group="wrong heading"), _truth(group="fields")], [_fix(1e3), _fix(1e3)]
    assert "'wrong heading' were told an attitude, a wrong one" in _known({}, campaign_statistics(truths, fixes, 400e3))
    assert "told an attitude" not in _known({}, campaign_statistics(truths[1:], fixes[1:], 400e3))


def test_records_that_do_not_pair_up_are_refused():
    with pytest.raises(ValueError):
        campaign_statistics([_truth()], [], 400e3)


def test_every_frame_has_its_classes():
    assert classes_of(_truth(sun=5.0)) == ("twilight",)
    assert classes_of(_truth(sun=-6.1)) == ("night",)
    assert classes_of(_truth(land=0.04)) == ("day", "day ocean")
    assert classes_of(_truth(land=0.6, cloud=0.7)) == ("day", "day land", "day land mostly cloud")


def test_swaths_of_known_cameras():
    # The Astro Pi's picture: 413 km across from 405 km (shared data sheet); half a sphere's horizon for a fisheye.
    assert swath_m(Camera(1296, 972, 1285.7, 1285.7, 647.5, 485.5), 405e3) == pytest.approx(413e3, rel=0.01)
    horizon = swath_m(Camera(1000, 1000, 100.0, 100.0, 499.5, 499.5), 700e3)
    assert horizon == pytest.approx(2 * 6371e3 * 0.4485, rel=0.01)  # arccos(6371 / 7071)
