"""Where the camera points, against rotations worked out another way."""

import json

import numpy as np
import pytest
from sim_worlds import small_camera, small_mission

from onboard.fix import Vertical
from onboard.geodesy import (
    ecef_from_geodetic,
    ecef_from_nadir_camera,
    ecef_from_ned,
    geodetic_from_ecef,
    heading_deg_of,
    intersect_ellipsoid,
)
from sim.attitude import NadirPointing, draw_jitter, draw_pointing, draw_tumble, quat_wxyz, turns_rad_s
from sim.attitude_file import load_attitude
from sim.earth_frames import ecef_from_gcrs, itrs_from_gcrs, utc_times
from sim.errors import SimError
from sim.flight_check import require_earth_in_view, require_mission_altitude
from sim.flight_scenario import draw_scenario
from sim.look import draw_look
from sim.orbit import draw_orbit
from sim.pointing import Pointing
from sim.sensor import drift_px_s

START = np.datetime64("2026-07-01T10:00:00", "us")


def _states(count=8, every_s=300.0):
    """Times of a small mission's orbit and its states (N, 3), (N, 3)."""
    times = utc_times(START, np.arange(count) * every_s)
    return times, *_orbit().states(times)


def _orbit():
    return draw_orbit(small_mission().orbit, START, np.random.default_rng(3))


def _angle_deg(first, second):
    trace = np.trace(np.swapaxes(first, -1, -2) @ second, axis1=-2, axis2=-1)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


def test_nadir_pointing_looks_down_and_follows_the_track():
    position, velocity = ecef_from_geodetic(0.0, 0.0, 500e3), np.array([0.0, 7000.0, 100.0])
    steady = NadirPointing(30.0).ecef_from_cam(np.array([START]), position[None], velocity[None])[0]
    np.testing.assert_allclose(steady[:, 2], [-1, 0, 0], atol=1e-12)
    assert heading_deg_of(steady, 0.0, 0.0) == pytest.approx(np.degrees(np.arctan2(7000.0, 100.0)) + 30.0)
    times, positions, velocities = _states()
    for rotation, position, velocity in zip(
        NadirPointing(-70.0).ecef_from_cam(times, positions, velocities), positions, velocities
    ):
        lat, lon, _ = geodetic_from_ecef(position)
        north, east, _ = ecef_from_ned(lat, lon).T @ velocity
        heading = np.degrees(np.arctan2(east, north)) - 70.0
        np.testing.assert_allclose(rotation, ecef_from_nadir_camera(float(lat), float(lon), heading), atol=1e-12)


def test_bias_tilts_about_the_cameras_own_axes():
    times, positions, velocities = _states()
    level = NadirPointing().ecef_from_cam(times, positions, velocities)
    tilted = NadirPointing(bias_rad=(0.02, 0.0, 0.0)).ecef_from_cam(times, positions, velocities)
    # About +x (right) by the right hand: forward turns towards -y, up in the picture.
    seen = np.einsum("nji,nj->ni", level, tilted[..., 2])
    np.testing.assert_allclose(seen, np.tile([0.0, -np.sin(0.02), np.cos(0.02)], (len(times), 1)), atol=1e-12)


def test_a_mounted_camera_keeps_its_tilt_to_the_vertical():
    """30 degrees towards the right of the picture: the nadir stays to the left, and the picture's up level."""
    times, positions, velocities = _states()
    down_cam = Vertical.off_nadir(30.0, 90.0, 0.01).down_cam
    held = NadirPointing(20.0, down_cam=down_cam).ecef_from_cam(times, positions, velocities)
    down = ecef_from_ned(*geodetic_from_ecef(positions)[:2])[..., 2]
    np.testing.assert_allclose(
        np.einsum("nij,ni->nj", held, down), np.tile([-0.5, 0, np.sqrt(0.75)], (len(times), 1)), atol=1e-12
    )
    level = NadirPointing(20.0).ecef_from_cam(times, positions, velocities)
    np.testing.assert_allclose(held[..., 1], level[..., 1], atol=1e-12)


def test_jitter_has_its_sigma_and_its_band():
    jitter = draw_jitter(1e-3, np.random.default_rng(0))
    minutes = utc_times(START, np.arange(4000) * 61.0)
    shaken = jitter.rotation_vectors_rad(minutes)
    np.testing.assert_allclose(shaken.std(0), 1e-3, rtol=0.06)
    assert np.abs(shaken).max() < 6e-3
    lag_one = [np.corrcoef(axis[:-1], axis[1:])[0, 1] for axis in shaken.T]
    assert np.abs(lag_one).max() < 0.3  # a minute apart: hardly any memory
    spectrum = np.abs(np.fft.rfft(jitter.rotation_vectors_rad(utc_times(START, np.arange(20_000) * 0.5)), axis=0))
    frequency = np.fft.rfftfreq(20_000, 0.5)
    assert (spectrum[(frequency < 0.0045) | (frequency > 0.0505)] ** 2).sum() < 1e-2 * (spectrum**2).sum()


def test_a_camera_that_jitters_turns_no_faster_than_pictures_show():
    times = utc_times(START, np.arange(20_000) * 0.1)
    rates = [
        np.diff(draw_pointing(0.5, np.random.default_rng(seed)).jitter.rotation_vectors_rad(times), axis=0) / 0.1
        for seed in range(20)
    ]
    assert 0.5e-3 < np.std(rates) < 1.5e-3  # Look: 1e-3
    drawn = [draw_look(np.random.default_rng(seed), 0.0, 0.0).turn_rad_s for seed in range(200)]
    assert np.std(rates) == pytest.approx(np.std(drawn), rel=0.5)


@pytest.mark.parametrize("rate_deg_s", [None, 0.5, 5.0])
def test_the_ground_moves_through_the_picture_as_the_attitude_says(rate_deg_s):
    """What stands in the middle of a frame, seen again a little later; the simulator leaves the Earth's turning out."""
    camera = small_camera(distortion=())
    flown = draw_scenario(small_mission(camera), 3, 1.0, 3, pointing=Pointing(tumble_deg_s=rate_deg_s))
    (flight,) = flown.flights
    for shot in flown.shots():
        times = utc_times(shot.time, [0.0, 0.02])
        positions, velocities = flight.orbit.states(times)
        rotations = flight.attitude.ecef_from_cam(times, positions, velocities)
        ground = intersect_ellipsoid(positions[0], rotations[0] @ [0.0, 0.0, 1.0])
        right, down, forward = rotations[1].T @ (ground - positions[1])
        moved = np.array([camera.fx * right, camera.fy * down]) / forward / 0.02
        earth_px_s = camera.fx * 465.0 / 590e3
        assert np.hypot(*(drift_px_s(camera, shot.altitude_m, shot.look) - moved)) < 1.05 * earth_px_s


def test_a_file_need_not_reach_beyond_the_frames(tmp_path):
    times, positions, velocities = _states(4, 20.0)
    tumble = draw_tumble(NadirPointing(), _orbit(), times[0], 0.1, np.random.default_rng(4))
    path = _write(tmp_path / "a.csv", "ecef", times, tumble.ecef_from_cam(times, positions, velocities))
    turns = turns_rad_s(load_attitude(path), _orbit(), times)
    np.testing.assert_allclose(turns, turns_rad_s(tumble, _orbit(), times), atol=1e-4)
    np.testing.assert_allclose(turns[:2], turns_rad_s(load_attitude(path), _orbit(), times[:2]), atol=1e-12)
    steady = turns_rad_s(NadirPointing(10.0), _orbit(), times)
    assert np.abs(steady[:, :2]).max() < 1e-6  # held to the nadir it turns about its axis alone


def test_drawn_pointing_has_the_missions_sigma():
    times, positions, velocities = _states(1)
    level = NadirPointing().ecef_from_cam(times, positions, velocities)[0]
    tilts = []
    for seed in range(600):
        rotation = draw_pointing(2.0, np.random.default_rng(seed)).ecef_from_cam(times, positions, velocities)[0]
        tilts.extend(np.degrees(np.arcsin((level.T @ rotation[:, 2])[:2])))
    assert np.std(tilts) == pytest.approx(2.0, rel=0.08)
    first, again = (draw_pointing(2.0, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(
        first.ecef_from_cam(times, positions, velocities), again.ecef_from_cam(times, positions, velocities)
    )


def test_gcrs_axes_turn_with_the_sky():
    times = utc_times(START, [0.0, 3600.0, 86164.0905])
    turn = ecef_from_gcrs(times)
    np.testing.assert_allclose(turn @ turn.swapaxes(1, 2), np.tile(np.eye(3), (3, 1, 1)), atol=1e-12)
    vector = np.array([4e6, -5e6, 3e6])
    np.testing.assert_allclose(
        turn @ vector, itrs_from_gcrs(times, np.tile(vector, (3, 1)), np.zeros((3, 3)))[0], atol=1e-6
    )
    assert _angle_deg(turn[0], turn[2]) < 1e-3  # a sidereal day later
    assert _angle_deg(turn[0], turn[1]) == pytest.approx(15.041, abs=1e-3)


def test_a_tumble_starts_at_nadir_and_keeps_its_rate_against_the_stars():
    times, positions, velocities = _states(5, 20.0)
    steady = NadirPointing(10.0)
    tumble = draw_tumble(steady, _orbit(), times[0], 0.5, np.random.default_rng(1))
    rotations = tumble.ecef_from_cam(times, positions, velocities)
    nadir = steady.ecef_from_cam(times[:1], positions[:1], velocities[:1])[0]
    np.testing.assert_allclose(rotations[0], nadir, atol=1e-9)
    inertial = ecef_from_gcrs(times).swapaxes(1, 2) @ rotations
    np.testing.assert_allclose(_angle_deg(inertial[:-1], inertial[1:]), 10.0, atol=1e-6)  # 0.5 deg/s for 20 s
    steps = inertial[:-1].swapaxes(1, 2) @ inertial[1:]
    np.testing.assert_allclose(steps, np.tile(steps[0], (4, 1, 1)), atol=1e-9)  # one body axis, constant


def test_quaternions_turn_as_their_matrices_do():
    import cv2

    rng = np.random.default_rng(2)
    for angle in (0.0, 1e-9, 0.3, 3.0, np.pi):
        axis = rng.normal(size=3)
        axis /= np.linalg.norm(axis)
        w, x, y, z = quat_wxyz(cv2.Rodrigues(axis * angle)[0])
        assert abs(w) == pytest.approx(abs(np.cos(angle / 2)), abs=1e-7)
        assert np.linalg.norm([w, x, y, z]) == pytest.approx(1.0)
        np.testing.assert_allclose(abs(np.array([x, y, z]) @ axis), abs(np.sin(angle / 2)), atol=1e-7)


def _write(path, frame, times, rotations):
    stamps = [np.datetime_as_string(time, "us") + "Z" for time in times]
    quats = [quat_wxyz(rotation) for rotation in rotations]
    if path.suffix == ".csv":
        header = ["time_utc", *(f"quat_{frame}_from_cam_{axis}" for axis in "wxyz"), "note"]
        rows = [[stamp, *map(repr, quat), "x"] for stamp, quat in zip(stamps, quats)]
        path.write_text("\n".join(",".join(row) for row in [header, *rows]))
    else:
        key = f"quat_{frame}_from_cam_wxyz"
        path.write_text("\n".join(json.dumps({"time_utc": s, key: q, "index": 1}) for s, q in zip(stamps, quats)))
    return path


@pytest.mark.parametrize("name", ["attitude.csv", "truth.jsonl"])
@pytest.mark.parametrize("frame", ["ecef", "gcrs"])
def test_a_file_gives_back_what_it_holds_and_turns_evenly_between(tmp_path, name, frame):
    times, positions, velocities = _states(9, 20.0)
    tumble = draw_tumble(NadirPointing(), _orbit(), times[0], 1.5, np.random.default_rng(4))
    truth = tumble.ecef_from_cam(times, positions, velocities)
    stored = truth if frame == "ecef" else ecef_from_gcrs(times).swapaxes(1, 2) @ truth
    attitude = load_attitude(_write(tmp_path / name, frame, times[::2], stored[::2]))
    read = attitude.ecef_from_cam(times, positions, velocities)
    np.testing.assert_allclose(read[::2], truth[::2], atol=1e-12)
    # A constant rate is exactly what slerp follows, in the frame where it is constant.
    assert _angle_deg(read[1::2], truth[1::2]).max() < (1e-6 if frame == "gcrs" else 0.1)
    assert attitude.as_dict()["frame"] == frame and len(attitude.as_dict()["sha256"]) == 64


CSV = "time_utc,quat_ecef_from_cam_w,quat_ecef_from_cam_x,quat_ecef_from_cam_y,quat_ecef_from_cam_z\n"
KEY = "quat_gcrs_from_cam_wxyz"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", "", r"a\.csv:1: the header must be time_utc, quat_ecef_from_cam_w"),
        ("a.csv", "time,w,x,y,z\n", r"a\.csv:1: the header must be .* not time, w, x, y, z"),
        ("a.csv", CSV, "holds 0 attitudes"),
        ("a.csv", CSV + "2026-07-01T10:00:00Z,1,0,0,0\n", "holds 1 attitudes"),
        ("a.csv", CSV + "2026-07-01T10:00:00Z,1,0,0\n", r"a\.csv:2: has 4 fields, the header 5"),
        ("a.csv", CSV + "noon,1,0,0,0\n", r"a\.csv:2: 'noon' is no UTC time"),
        ("a.csv", CSV + "2026-07-01T10:00:00Z,1,0,0,east\n", r"a\.csv:2: .* are not four numbers"),
        ("a.csv", CSV + "2026-07-01T10:00:00Z,1,1,0,0\n", r"a\.csv:2: .* its length is 1.41421, not 1"),
        ("a.csv", CSV + "2026-07-01T10:00:00Z,nan,0,0,0\n", r"a\.csv:2: .* its length is nan"),
        ("a.csv", CSV + "2026-07-01T10:00:01Z,1,0,0,0\n2026-07-01T10:00:00Z,1,0,0,0\n", r"a\.csv:3: .* is not after"),
        ("a.jsonl", "{", r"a\.jsonl:1: is no JSON"),
        ("a.jsonl", '{"time_utc": "2026-07-01T10:00:00Z"}', r"a\.jsonl:1: needs time_utc and one of"),
        ("a.jsonl", "[1]", r"a\.jsonl:1: needs time_utc and one of"),
        ("a.jsonl", f'{{"time_utc": "2026-07-01T10:00:00Z", "{KEY}": [1, 0, 0]}}', r"a\.jsonl:1: .*quaternion"),
        ("a.jsonl", f'{{"time_utc": "2026-07-01T10:00:00Z", "{KEY}": null}}', r"a\.jsonl:1: None are not"),
    ],
)
def test_bad_files_are_named_with_the_line(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(SimError, match=says):
        load_attitude(tmp_path / name)


def test_mixed_frames_and_missing_files_are_refused(tmp_path):
    lines = [f'{{"time_utc": "2026-07-01T10:00:0{i}Z", "quat_{f}_from_cam_wxyz": [1,0,0,0]}}' for i, f in
             enumerate(("ecef", "gcrs"))]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(SimError, match=r"a\.jsonl:2: gives gcrs_from_cam, the lines above ecef_from_cam"):
        load_attitude(tmp_path / "a.jsonl")
    with pytest.raises(SimError, match=r"gone\.csv: No such file"):
        load_attitude(tmp_path / "gone.csv")


def test_a_file_that_ends_early_says_until_when_and_what_is_needed(tmp_path):
    times, positions, velocities = _states(9, 20.0)
    rotations = NadirPointing().ecef_from_cam(times, positions, velocities)
    attitude = load_attitude(_write(tmp_path / "short.csv", "ecef", times[:5], rotations[:5]))
    with pytest.raises(
        SimError, match=r"short\.csv: ends early: .*to 2026-07-01T10:01:20.000Z, .*need .* to 2026-07-01T10:02:40"
    ):
        attitude.ecef_from_cam(times, positions, velocities)
    late = load_attitude(_write(tmp_path / "late.csv", "ecef", times[3:], rotations[3:]))
    with pytest.raises(SimError, match="begins late"):
        late.ecef_from_cam(times, positions, velocities)


def test_a_camera_that_looks_away_is_told_with_the_numbers():
    camera = small_camera(96, 72, 50.0)
    times, positions, velocities = _states(3)
    down = NadirPointing().ecef_from_cam(times, positions, velocities)
    up = NadirPointing(bias_rad=(np.pi, 0.0, 0.0)).ecef_from_cam(times, positions, velocities)
    require_earth_in_view(camera, positions, down)
    require_earth_in_view(camera, positions, np.concatenate([up[:2], down[2:]]))  # one frame is enough
    limb = NadirPointing(bias_rad=(np.radians(75.0), 0.0, 0.0)).ecef_from_cam(times, positions, velocities)
    require_earth_in_view(camera, positions, limb)
    with pytest.raises(SimError, match=r"180 to 180 degrees .* horizon is at 6\d"):
        require_earth_in_view(camera, positions, up)


def test_an_orbit_that_is_not_the_missions_is_told_with_the_numbers():
    _, positions, _ = _states(3)
    require_mission_altitude(small_mission(), positions)
    with pytest.raises(SimError, match=r"mission test-600km is planned for 590 to 610 km"):
        require_mission_altitude(small_mission(), positions * 1.02)
