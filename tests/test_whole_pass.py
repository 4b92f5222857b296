"""A pass looked back upon: the smoother against its own statements, frames before an orbit was found, two orbits that
contradict one another, and the command line."""

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from orbit_worlds import (
    ALTITUDE_M,
    KNOWN,
    MOUNT_DEG,
    RADIUS_M,
    STRONG,
    ToldLocalizer,
    first_state,
    heading_deg,
    right_place,
    sighting,
    states,
    wrong_places,
)

from onboard import Localizer, Tracker, TrackStatus, whole_pass
from onboard.cli import main
from onboard.errors import ImageError, UsageError
from onboard.fix import Status, no_fix
from onboard.frame_list import read_frame_list
from onboard.geodesy import distance_m, geodetic_from_ecef
from onboard.hypothesis import Sighting
from onboard.orbit_fit import OrbitEstimate
from onboard.orbit_measurement import measurement_of
from onboard.orbit_motion import EARTH_GM_M3_S2, earth_fixed_velocity, propagate, propagate_with_transition
from onboard.orbit_smoother import smoothed
from onboard.tracked_orbit import TrackedOrbit
from onboard.utc import utc_time
from tests.look import look

NIGHT = Sighting(no_fix(Status.DARK, "night"))


def time_ns(seconds):
    return 10**18 + round(seconds * 1e9)


def strong(truth, rng, altitude_m=ALTITUDE_M):
    return sighting([right_place(truth, STRONG, rng), *wrong_places(5, rng)], altitude_m)


def error_m(state, truth):
    lat, lon, _ = geodetic_from_ecef(truth[:3])
    return float(distance_m(state.lat_deg, state.lon_deg, lat, lon))


def test_the_smoother_is_the_fit_of_all_frames(monkeypatch):
    """Where nothing comes in between, what all frames say of the first moment is least squares, covariance and all."""
    monkeypatch.setattr("onboard.orbit_filter.ACCELERATION_DENSITY_M2_S3", 0.0)
    monkeypatch.setattr("onboard.orbit_filter.LEAN_LASTS_S", 1e12)
    rng = np.random.default_rng(1)
    times_s = np.array([0.0, 300.0, 450.0, 900.0])
    truth = states(times_s)
    sigmas = np.array([2e3] * 3 + [5.0] * 3 + [1.0] * 2)
    start = OrbitEstimate(0.0, truth[0] + sigmas[:6] * rng.normal(size=6), np.zeros(2), np.diag(sigmas**2))
    held = [TrackedOrbit(start, MOUNT_DEG, 2, (0.0,), start, 1e-6)]
    measured = []
    for state, time_s in zip(truth[1:], times_s[1:], strict=True):
        place = right_place(state, STRONG, rng, 500.0)
        measured.append(measurement_of(place, KNOWN, time_s))
        held.append(held[-1].at(time_s).using(place, KNOWN) if time_s != 450.0 else held[-1].at(time_s))
    first, covariance = _least_squares(start, [measured[0], measured[2]])
    back = smoothed([orbit.estimate for orbit in held], [orbit.measurement for orbit in held])
    known = back[0]
    assert np.linalg.norm(held[0].estimate.state[:3] - first[:3]) > 500
    assert np.linalg.norm(known.state[:3] - first[:3]) < 5 and np.linalg.norm(known.state[3:] - first[3:6]) < 0.01
    np.testing.assert_allclose(np.sqrt(np.diag(known.covariance)), np.sqrt(np.diag(covariance)), rtol=0.01)
    assert np.linalg.norm(back[-1].state[:3] - held[-1].estimate.state[:3]) < 5
    there = propagate(known.state, 450.0)
    assert np.linalg.norm(back[2].state[:3] - there[:3]) < 5


def _least_squares(start, measured):
    """State and lean (8,) at the start, and their covariance, of what was known there and is measured later."""
    x, told = np.concatenate([start.state, start.lean]), np.concatenate([start.state, start.lean])
    for _ in range(5):
        normal = np.linalg.inv(start.covariance)
        gradient = normal @ (told - x)
        for one in measured:
            state, by_state = propagate_with_transition(x[:6], one.time_s)
            slope = one.slope
            slope[:, :6] = slope[:, :6] @ by_state
            weighed = slope.T @ np.linalg.inv(one.covariance)
            normal = normal + weighed @ slope
            gradient = gradient + weighed @ one.residual(state[:3], x[6:])
        x = x + np.linalg.solve(normal, gradient)
    return x, np.linalg.inv(normal)


@pytest.mark.parametrize(
    "apart_s, night_s, eccentricity", [(60.0, 2400.0, 0.0), (30.0, 5000.0, 0.0), (60.0, 2400.0, 0.01)]
)
def test_errors_are_as_large_as_stated_before_between_and_after_fixes(apart_s, night_s, eccentricity):
    """Two fixes, forty or eighty minutes of night, two fixes: at every frame, the first and the night's included."""
    shares = np.array([0.0, 0.3, 0.6, 0.9, 1.0])
    times_s = np.concatenate([[0.0, 60.0], 60.0 + apart_s + shares * night_s, [60.0 + 2 * apart_s + night_s]])
    altitude_m = ALTITUDE_M[0], max(ALTITUDE_M[1], eccentricity * RADIUS_M)
    errors = []
    for seed in range(20):
        rng = np.random.default_rng(100 + seed)
        truth = states(times_s, first_state(*rng.uniform(0, 360, 2), rng.uniform(0, eccentricity), rng.uniform(0, 360)))
        frames = [strong(state, rng, altitude_m) if i in (1, 2, 6, 7) else NIGHT for i, state in enumerate(truth)]
        tracker = Tracker(ToldLocalizer(eccentricity=eccentricity))
        known = whole_pass(tracker, zip(frames, map(time_ns, times_s), strict=True), altitude_m)
        assert all(known)
        for state, true in zip(known, truth, strict=True):
            off = np.concatenate([state.position_ecef_m, state.velocity_ecef_m_s]) - true
            errors.append(off @ np.linalg.solve(state.covariance, off))
    by_frame = np.reshape(errors, (20, -1))
    assert (by_frame.mean(axis=0) > 2).all() and (by_frame.mean(axis=0) < 9).all(), by_frame  # 6 is right
    assert by_frame.max() < 40  # chi-squared of six degrees of freedom: one in two million


def test_a_pass_that_does_not_settle_is_answered_as_it_was_flown(monkeypatch):
    monkeypatch.setattr("onboard.orbit_smoother._ITERATIONS", 1)
    rng = np.random.default_rng(3)
    times_s = np.array([0.0, 60.0, 2400.0, 2460.0])
    looks = [(strong(state, rng), time_ns(time_s)) for state, time_s in zip(states(times_s), times_s, strict=True)]
    tracker = Tracker(ToldLocalizer())
    flown = [tracker.update(frame, timestamp_ns, ALTITUDE_M) for frame, timestamp_ns in looks]
    known = whole_pass(Tracker(ToldLocalizer()), looks, ALTITUDE_M)
    assert [state.sigma_m for state in known[1:]] == [state.sigma_m for state in flown[1:]]


def test_frames_before_and_between_are_told_by_those_after():
    rng = np.random.default_rng(3)
    truth = states(np.arange(12) * 90.0)
    frames = [strong(state, rng) if i in (3, 4, 11) else NIGHT for i, state in enumerate(truth)]
    alone = Tracker(ToldLocalizer())
    flown = [alone.update(frame, time_ns(90.0 * i), ALTITUDE_M) for i, frame in enumerate(frames)]
    known = whole_pass(
        Tracker(ToldLocalizer()), ((frame, time_ns(90.0 * i)) for i, frame in enumerate(frames)), ALTITUDE_M
    )
    assert [bool(state) for state in flown] == [False] * 4 + [True] * 8 and all(known)
    assert [state.status is TrackStatus.TRACKING for state in known] == [i in (3, 4, 11) for i in range(12)]
    assert known[0].reason == "predicted; DARK: night" and known[3].reason == "orbit found by 2 frames together"
    assert [state.timestamp_ns for state in known] == [time_ns(90.0 * i) for i in range(12)]
    assert known[8].sigma_m < flown[8].sigma_m and known[-1].sigma_m == pytest.approx(flown[-1].sigma_m)
    assert known[0].frames_used == 3 and {error_m(s, t) < 4 * s.sigma_m for s, t in zip(known, truth)} == {True}


def test_an_orbit_begun_with_one_fix_is_not_said_to_be_found_by_frames_together():
    looks = [(strong(first_state(), np.random.default_rng(4)), time_ns(0.0)), (NIGHT, time_ns(90.0))]
    known = whole_pass(Tracker(ToldLocalizer(), MOUNT_DEG), looks, ALTITUDE_M)
    assert [state.status for state in known] == [TrackStatus.TRACKING, TrackStatus.COASTING]
    assert known[0].reason == "orbit begun with one fix and the camera's heading along it"


def test_nothing_is_forgotten_over_a_gap_after_which_the_orbit_bends():
    """A prediction over eighty minutes is so vague that its errors lie on a curve."""
    rng = np.random.default_rng(5)
    times_s = np.array([0.0, 60.0, 90.0, 4900.0, 4960.0])
    looks = [(strong(state, rng), time_ns(time_s)) for state, time_s in zip(states(times_s), times_s, strict=True)]
    tracker = Tracker(ToldLocalizer())
    flown = [tracker.update(frame, timestamp_ns, ALTITUDE_M) for frame, timestamp_ns in looks]
    known = whole_pass(Tracker(ToldLocalizer()), looks, ALTITUDE_M)
    assert tracker.state_at(time_ns(0.0)).sigma_m < 5e3  # backwards, by all frames as well
    assert [state.status for state in flown[1:]] == [TrackStatus.TRACKING] * 4
    assert all(after.sigma_m <= 1.01 * before.sigma_m for after, before in zip(known[1:], flown[1:], strict=True))


def test_where_nothing_is_found_nothing_is_told():
    frames = ((NIGHT, time_ns(60.0 * i)) for i in range(5))
    assert not any(whole_pass(Tracker(ToldLocalizer()), frames, ALTITUDE_M))
    assert whole_pass(Tracker(ToldLocalizer()), [], ALTITUDE_M) == []


def test_an_orbit_that_was_lost_is_not_mixed_with_the_next():
    rng = np.random.default_rng(8)
    truth, again = states(np.arange(3) * 90.0), states([70e3, 70e3 + 90.0])
    looks = [(strong(state, rng), time_ns(90.0 * i)) for i, state in enumerate(truth)]
    looks += [(NIGHT, time_ns(69e3)), *((strong(s, rng), time_ns(70e3 + 90.0 * i)) for i, s in enumerate(again))]
    known = whole_pass(Tracker(ToldLocalizer()), looks, ALTITUDE_M)
    long_ago = [(NIGHT, time_ns(-86400.0 * days)) for days in (400, 1.5)]  # nobody predicts so far
    assert not any(whole_pass(Tracker(ToldLocalizer()), [*long_ago, *looks], ALTITUDE_M)[:2])
    assert all(known) and known[0].frames_used == 3 and known[3].frames_used == known[-1].frames_used == 2
    assert error_m(known[0], truth[0]) < 15e3 and error_m(known[-1], again[-1]) < 15e3


def test_an_orbit_that_was_lost_is_told_though_another_is_begun_at_once():
    rng = np.random.default_rng(8)
    times_s = [0.0, 90.0, 180.0, 90e3, 90.1e3]
    looks = [(strong(state, rng), time_ns(time_s)) for state, time_s in zip(states(times_s), times_s, strict=True)]
    known = whole_pass(Tracker(ToldLocalizer(), MOUNT_DEG), looks, ALTITUDE_M)
    assert {state.status for state in known} == {TrackStatus.TRACKING}
    assert [state.frames_used for state in known] == [3, 3, 3, 2, 2]


def test_of_two_orbits_that_contradict_one_another_the_first_is_not_told():
    """As the tracker recovers from a wrong turn: three fixes on one orbit, then four on another."""
    rng = np.random.default_rng(9)
    wrong, truth = states(np.arange(3) * 90.0, first_state(100.0, 170.0)), states(np.arange(3, 7) * 90.0)
    looks = [(strong(state, rng), time_ns(90.0 * i)) for i, state in enumerate([*wrong, *truth])]
    known = whole_pass(Tracker(ToldLocalizer()), looks, ALTITUDE_M)
    assert [state.status for state in known] == [TrackStatus.SEARCHING] * 3 + [TrackStatus.TRACKING] * 4
    assert "contradicted" in known[2].reason and np.isnan(known[2].lat_deg)
    assert all(error_m(state, true) < 15e3 for state, true in zip(known[3:], truth, strict=True))


def test_frames_out_of_order_are_refused():
    with pytest.raises(UsageError, match="frame 1 of a pass is not later"):
        whole_pass(Tracker(ToldLocalizer()), [(NIGHT, 5), (NIGHT, 5)], ALTITUDE_M)


def test_the_command_line(tmp_path: Path, pack: Path, localizer: Localizer, blue_marble: Path, capsys) -> None:
    """Real pictures: a pass over Africa, its first frame under a closed cover, one file missing, rows in disorder."""
    first = _over_africa()
    rows, truth = [], []
    for number in range(5):
        state = propagate(first, 60.0 * number)
        lat, lon, altitude = (float(value) for value in geodetic_from_ecef(state[:3]))
        frame = look(blue_marble, localizer.camera, lat, lon, altitude, heading_deg(state, 120.0))
        if number not in (0, 3):
            cv2.imwrite(str(tmp_path / f"{number}.png"), frame[:, :, ::-1])
        rows.append({"file": f"{number}.png", "time_utc": f"2026-07-01T10:0{number}:00.000Z", "label": "x"})
        truth.append((lat, lon))
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((640, 640, 3), np.uint8))
    table = tmp_path / "frames.csv"
    with table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["time_utc", "label", "file"])
        writer.writeheader()
        writer.writerows(rows[::-1])
    command = ["track", str(table), "--pack", str(pack), "--altitude-km", "700"]
    drawn = tmp_path / "new" / "pass.png"
    assert main([*command, "--json", "--mount-heading-deg", "120", "--map", str(drawn)]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(one["image"]).name for one in told] == [f"{number}.png" for number in range(5)]
    assert [one["status"] for one in told] == ["COASTING", "TRACKING", "TRACKING", "COASTING", "TRACKING"]
    assert [one["frame_status"] for one in told] == ["DARK", "FIX", "FIX", "BAD_FRAME", "FIX"]
    assert "No such file" in told[3]["reason"] and told[1]["time_utc"] == "2026-07-01T10:01:00.000Z"
    for one, (lat, lon) in zip(told, truth, strict=True):
        assert distance_m(one["lat_deg"], one["lon_deg"], lat, lon) < max(10e3, 4 * one["sigma_m"])
        assert 0 < one["false_track_probability"] < 1e-3 and abs(one["mount_heading_deg"] - 120) < 3
    picture = cv2.imread(str(drawn))[60:]  # below its legend
    assert all((picture == colour).all(axis=2).any() for colour in ((60, 130, 27), (40, 138, 226)))  # used, predicted
    assert main(["track", str(tmp_path), *command[2:]]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "COASTING" in lines[0] and "±" in lines[0] and "predicted; DARK" in lines[0]


def _over_africa():
    """An orbit of the pack's mission as it comes up from the Gulf of Guinea, at 700 km, ECEF."""
    radius, inclination = 6371e3 + 700e3, np.radians(98.2)
    lat, lon = np.radians([12.0, 12.0])
    up = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    azimuth = np.arcsin(np.cos(inclination) / np.cos(lat))
    way = np.cos(azimuth) * np.cross(up, east) + np.sin(azimuth) * east
    position, velocity = radius * up, np.sqrt(EARTH_GM_M3_S2 / radius) * way
    return np.concatenate([position, earth_fixed_velocity(position, velocity)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no picture"),
        ("file,time_utc\n", "lists no picture"),
        ("file,when\na.png,1\n", "has no column time_utc"),
        ("file,time_utc\na.png\n", "line 2: time_utc '' is no UTC time"),
        ("file,time_utc\na.png,2026-07-01T10:00:00Z\nb.png,noon\n", "line 3: time_utc 'noon' is no UTC time"),
        ("file,time_utc\n,2026-07-01T10:00:00Z\n", "line 2: names no file"),
        ("file,time_utc\n\na.png,2026-07-01T10:00:00Z\n\n\nb.png,noon\n", "line 6: time_utc 'noon' is no UTC time"),
        ("file,time_utc\na.png,2026-07-01 10:00:00\nb.png,2026-07-01T10:00:00.0Z\n", "line 3: b.png has the time of a"),
    ],
)
def test_a_list_that_is_wrong_is_told_by_line(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "list.csv"
    table.write_text(text)
    with pytest.raises(ImageError, match=message):
        read_frame_list(table)


def test_a_list_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00\x80")
    for name, told in (("list.csv", "list.csv"), ("nowhere.csv", "nowhere.csv"), ("", "frames.csv")):
        with pytest.raises(ImageError, match=f"{told}: cannot be read as a list of pictures"):
            read_frame_list(tmp_path / name)


def test_times_are_utc_whatever_the_zone() -> None:
    assert utc_time("2026-07-01T12:00:00+02:00") == utc_time("2026-07-01T10:00:00Z") == utc_time("2026-07-01 10:00")
    assert utc_time("2026-07-01") == np.datetime64("2026-07-01T00:00:00.000000")
    assert utc_time("2026-07-01T10:00:00.123456789Z") == np.datetime64("2026-07-01T10:00:00.123456")
    for text in (
        "",
        "now",
        "today",
        "2026",
        "NaT",
        "2026-13-01",
        "2026-07-01T25:00",
        "10:00:00",
        "2026-07-01T10:00+99:00",
    ):
        with pytest.raises(ValueError, match="is no UTC time"):
            utc_time(text)


@pytest.mark.parametrize("late", [NIGHT, None])
def test_an_orbit_lost_in_a_gap_is_not_contradicted_whatever_the_last_frame_in_it_was(late: Sighting | None) -> None:
    """A day and an hour after the newest frame that was used nothing is left of an orbit; a frame of the gap that could
    not be looked at (None) left it as it was long before."""

    class Faulty(ToldLocalizer):
        def sight(self, frame: Sighting | None, **told: Any) -> Sighting:
            if frame is None:
                raise RuntimeError("no frame")
            return super().sight(frame, **told)

    rng = np.random.default_rng(1)
    times_s = np.array([0.0, 60.0, 120.0, 180.0, 180.0 + 20 * 3600, 180.0 + 25 * 3600])
    frames = [strong(state, rng) if i != 4 else late for i, state in enumerate(states(times_s))]
    tracker = Tracker(Faulty(), MOUNT_DEG)
    known = whole_pass(tracker, zip(frames, map(time_ns, times_s), strict=True), ALTITUDE_M)
    assert all(known[:4]) and not any("contradicted" in state.reason for state in known)
