"""Statistics on constructed fixes: what is wrong must be counted wrong."""

import pytest

from onboard.camera import Camera
from sim.footprint import swath_m
from sim.statistics import campaign_statistics, classes_of, outcome, right_within_m, wilson_interval


def _truth(index=0, sun=40.0, land=1.0, cloud=0.0):
    return {"index": index, "sun_elevation_deg": sun, "land_share": land, "cloud_cover": cloud}


def _fix(error_m=None, status="FIX", latency_ms=10.0):
    return {"status": status, "error_m": error_m, "latency_ms": latency_ms}


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
    night, land = report["classes"]["night"], report["classes"]["day land"]
    assert (night["frames"], night["wrong"]) == (1, 1)
    assert (land["frames"], land["solved"], land["wrong"], land["no_fix"]) == (4, 2, 1, 1)
    assert report["classes"]["day land mostly cloud"]["wrong"] == 1
    assert report["classes"]["twilight"]["frames"] == 1
    assert report["statuses"] == {"DARK": 1, "FEATURELESS": 1, "FIX": 5, "NO_MATCH": 1}
    assert report["latency_ms"]["median"] == 10.0


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
