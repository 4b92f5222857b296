"""Campaigns: the same from any number of workers, completed after a kill, refused where they do not belong."""

import json

import numpy as np
import pytest
from sim_worlds import WavyMosaic, small_mission, write_mission

from onboard.cli import main
from onboard.fix import Fix, Status, no_fix
from onboard.geodesy import ecef_from_geodetic, heading_deg_of
from sim import campaign
from sim.attitude import NadirPointing, draw_pointing, quat_wxyz
from sim.campaign import run_campaign
from sim.cli import table, utc_time
from sim.errors import SimError
from sim.record_log import RecordLog
from sim.scenario import draw_scenario

FRAMES = 6


class CheatingLocalizer:
    """Knows the truth: right on most frames, 300 km off on frame 3, nothing on dark ones. Dies at ``dies_at``."""

    def __init__(self, scenario, dies_at=None):
        self.shots, self.calls, self.dies_at = scenario.shots(), 0, dies_at

    def localize(self, frame, *, altitude_m=None):
        assert frame.dtype == np.uint8 and frame.shape == (72, 96, 3)
        value, sigma = altitude_m
        assert value == 600e3 and 1e3 < sigma < 50e3
        if self.calls == self.dies_at:
            raise KeyboardInterrupt
        self.calls += 1
        shot = min(self.shots, key=lambda each: abs(each.index - self._index))
        self._index += 1
        if shot.sun_elevation_deg < 0:
            return no_fix(Status.DARK, "night")
        lat = shot.lat_deg + (2.7 if shot.index == 3 else 0.01)
        position = ecef_from_geodetic(lat, shot.lon_deg, shot.altitude_m)
        return Fix(
            Status.FIX, lat_deg=lat, lon_deg=shot.lon_deg, altitude_m=shot.altitude_m, heading_deg=1.0, sigma_m=1e3,
            position_ecef_m=position, covariance_ecef_m2=np.eye(3) * 1e6, quat_ecef_from_cam_wxyz=np.eye(4)[0],
            false_fix_probability=1e-6, inliers=20, votes=9,
        )  # fmt: skip

    _index = 0


@pytest.fixture(autouse=True)
def _dry(monkeypatch):
    """No ocean mask: its four seconds are spent in test_sim_renderer."""
    from sim_worlds import NoOcean

    monkeypatch.setattr("sim.renderer.OceanMask", NoOcean)


@pytest.fixture
def drawn(monkeypatch):
    """Campaigns whose picture is not what is tested."""
    pictures = []
    monkeypatch.setattr(campaign, "draw_campaign", lambda out, *rest: pictures.append(out))
    return pictures


def _scenario(seed=1, frames=FRAMES):
    return draw_scenario(small_mission(), frames, 400.0, seed, np.datetime64("2026-07-01T10:00:00"), 0.2)


def _fly(out, scenario=None, localizer=None, workers=2, config=None):
    scenario = scenario or _scenario()
    return run_campaign(
        scenario,
        WavyMosaic(),
        localizer or CheatingLocalizer(scenario),
        out,
        config or {"seed": scenario.seed},
        workers,
    )


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_campaign_leaves_frames_truth_fixes_statistics_and_a_picture(tmp_path):
    statistics = _fly(tmp_path / "run")
    truths, fixes = _lines(tmp_path / "run" / "truth.jsonl"), _lines(tmp_path / "run" / "fixes.jsonl")
    assert [truth["index"] for truth in truths] == list(range(FRAMES)) == [fix["index"] for fix in fixes]
    for truth in truths:
        assert (tmp_path / "run" / truth["file"]).stat().st_size > 500
        position = ecef_from_geodetic(truth["lat_deg"], truth["lon_deg"], truth["altitude_m"])
        np.testing.assert_allclose(position, truth["position_ecef_m"], atol=0.02)
        w, x, y, z = truth["quat_ecef_from_cam_wxyz"]
        forward = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
        assert forward @ -position / np.linalg.norm(position) > np.cos(np.radians(4))  # looks down
    wrong = [fix for fix in fixes if fix["error_m"] and fix["error_m"] > 25e3]
    assert statistics["all"]["wrong"] == len(wrong)
    assert all(fix["lat_deg"] is None and fix["error_m"] is None for fix in fixes if fix["status"] != "FIX")
    assert json.loads((tmp_path / "run" / "statistics.json").read_text()) == statistics
    assert (tmp_path / "run" / "map.png").read_bytes().startswith(b"\x89PNG")
    assert not list((tmp_path / "run").rglob("*.tmp")) and not list((tmp_path / "run").rglob("*.partial"))
    assert "wrong" in table(statistics)


def test_frames_do_not_depend_on_workers_or_on_how_many_there_are(tmp_path, drawn):
    _fly(tmp_path / "one", workers=1)
    _fly(tmp_path / "three", workers=3)
    shorter = _scenario(frames=3)
    _fly(tmp_path / "short", shorter)
    _fly(tmp_path / "other", _scenario(seed=2))
    frames = sorted((tmp_path / "one" / "frames").iterdir())
    assert len(frames) == FRAMES
    for frame in frames:
        assert frame.read_bytes() == (tmp_path / "three" / "frames" / frame.name).read_bytes()
        assert frame.read_bytes() != (tmp_path / "other" / "frames" / frame.name).read_bytes()
    for frame in frames[:3]:
        assert frame.read_bytes() == (tmp_path / "short" / "frames" / frame.name).read_bytes()
    assert (tmp_path / "one" / "truth.jsonl").read_text() == (tmp_path / "three" / "truth.jsonl").read_text()


def test_a_killed_campaign_is_completed_not_repeated(tmp_path, drawn):
    scenario = _scenario()
    _fly(tmp_path / "whole", scenario)
    out = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        _fly(out, scenario, CheatingLocalizer(scenario, dies_at=3))
    assert not (out / "fixes.jsonl").exists()
    # The kill came in the middle of a line, and a frame was lost as well.
    with (out / "fixes.jsonl.partial").open("a") as stream:
        stream.write('{"index": 3, "stat')
    (out / "frames" / "000002.jpg").unlink()
    untouched = (out / "frames" / "000001.jpg").stat().st_mtime_ns

    second = CheatingLocalizer(scenario)
    second._index = 3
    _fly(out, scenario, second)
    assert second.calls == FRAMES - 3
    assert (out / "frames" / "000001.jpg").stat().st_mtime_ns == untouched
    assert (out / "truth.jsonl").read_text() == (tmp_path / "whole" / "truth.jsonl").read_text()
    without_time = [
        [{**fix, "latency_ms": 0} for fix in _lines(run / "fixes.jsonl")] for run in (out, tmp_path / "whole")
    ]
    assert without_time[0] == without_time[1]

    third = CheatingLocalizer(scenario)
    _fly(out, scenario, third)
    assert third.calls == 0


def test_another_configuration_is_refused(tmp_path, drawn):
    _fly(tmp_path / "run")
    with pytest.raises(SimError, match=r"another campaign \(different: seed\)"):
        _fly(tmp_path / "run", config={"seed": 99})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(SimError, match="is no campaign"):
        _fly(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_log_drops_the_line_a_kill_cut_off(tmp_path):
    log = RecordLog(tmp_path / "log.jsonl")
    log.append({"index": 1, "a": 1})
    with (tmp_path / "log.jsonl.partial").open("a") as stream:
        stream.write('{"index": 0, "a"')
    again = RecordLog(tmp_path / "log.jsonl")
    again.append({"index": 0, "a": 2})
    assert RecordLog(tmp_path / "log.jsonl").finish() == [{"index": 0, "a": 2}, {"index": 1, "a": 1}]
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_pointing_follows_the_track_and_its_errors_have_the_sigma_asked_for():
    position, velocity = ecef_from_geodetic(0.0, 0.0, 500e3), np.array([0.0, 7000.0, 100.0])
    steady = NadirPointing(30.0, (0.0, 0.0, 0.0), 0.0).ecef_from_cam(position, velocity, np.random.default_rng(0))
    np.testing.assert_allclose(steady[:, 2], [-1, 0, 0], atol=1e-12)
    track = np.degrees(np.arctan2(7000.0, 100.0))
    assert heading_deg_of(steady, 0.0, 0.0) == pytest.approx(track + 30.0)
    rng = np.random.default_rng(1)
    tilts = []
    for _ in range(400):
        rotation = draw_pointing(2.0, rng).ecef_from_cam(position, velocity, rng)
        tilts.append(np.degrees(np.arcsin(rotation[1:, 2])))
    assert np.std(tilts) == pytest.approx(2.0, rel=0.08)


def test_quaternions_turn_as_their_matrices_do():
    rng = np.random.default_rng(2)
    for angle in (0.0, 1e-9, 0.3, 3.0, np.pi):
        axis = rng.normal(size=3)
        axis /= np.linalg.norm(axis)
        import cv2

        w, x, y, z = quat_wxyz(cv2.Rodrigues(axis * angle)[0])
        assert abs(w) == pytest.approx(abs(np.cos(angle / 2)), abs=1e-7)
        assert np.linalg.norm([w, x, y, z]) == pytest.approx(1.0)
        np.testing.assert_allclose(abs(np.array([x, y, z]) @ axis), abs(np.sin(angle / 2)), atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frames", "0"], "must be positive"),
        (["--every-s", "-5"], "must be positive"),
        (["--clouds", "1.5"], "outside 0 to 1"),
        (["--start", "yesterday"], "no ISO time"),
        (["--seed", "-1"], "negative"),
        (["--mission", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--mosaic", "nowhere.tif"], "nowhere.tif: no such file"),
        (["--pack", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, capsys, arguments, message):
    mission = write_mission(tmp_path)
    words = [
        "sim",
        "run",
        "--mission",
        str(mission),
        "--mosaic",
        "none.tif",
        "--out",
        str(tmp_path / "run"),
        *arguments,
    ]
    if "--pack" in arguments:
        words[5] = str(_tiny_mosaic(tmp_path))
    assert main(words) == 2
    complaint = capsys.readouterr().err
    assert message in complaint and "Traceback" not in complaint
    assert len(complaint.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_tle_too_old_for_its_start_is_named(tmp_path):
    from dataclasses import replace

    from onboard.mission import Orbit

    tle = (
        "1 25544U 98067A   26182.50000000  .00010000  00000-0  18000-3 0  9990",
        "2 25544  51.6400 100.0000 0005000  60.0000 300.0000 15.50000000    10",
    )
    mission = replace(small_mission(), orbit=Orbit((400e3, 430e3), (51.6, 51.6), tle))
    assert np.datetime_as_string(draw_scenario(mission, 2, 60.0, 0).times[0], "D") == "2026-07-01"
    late = draw_scenario(mission, 2, 60.0, 0, np.datetime64("2027-01-01T00:00:00"))
    with pytest.raises(SimError, match="days from the time"):
        late.shots()


def test_times_are_utc_whatever_the_zone():
    assert utc_time("2026-07-01T12:00:00+02:00") == utc_time("2026-07-01T10:00:00Z") == utc_time("2026-07-01T10:00:00")


def _tiny_mosaic(folder):
    import rasterio
    from rasterio.transform import from_bounds

    path = folder / "tiny.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=36, height=18, count=3, dtype="uint8", crs="EPSG:4326",
        transform=from_bounds(-180, -90, 180, 90, 36, 18),
    ) as target:  # fmt: skip
        target.write(np.full((3, 18, 36), 90, np.uint8))
    return path
