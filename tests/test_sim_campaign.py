"""Campaigns: the same from any number of workers, completed after a kill, refused where they do not belong."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import psutil
import pytest
import sim_crews
from sim_crews import FRAMES, TOLD, WRONG, SerialCrew, fly, scenario
from sim_worlds import NoOcean, WavyMosaic, small_mission, write_mission

from onboard.cli import main
from onboard.geodesy import ecef_from_geodetic, ecef_from_nadir_camera, ecef_from_ned
from onboard.pose import matrix_from_quat
from sim import campaign
from sim.attitude_sensors import AttitudeSensors
from sim.cli import table
from sim.crew import DaskCrew, LocalCrew, _as_they_come
from sim.errors import SimError
from sim.flight_scenario import draw_scenario
from sim.record_log import RecordLog


@pytest.fixture(autouse=True)
def _dry(monkeypatch):
    """No ocean mask: its four seconds are spent in test_sim_renderer."""
    monkeypatch.setattr("sim.renderer.OceanMask", NoOcean)


@pytest.fixture
def plain(monkeypatch):
    """Campaigns whose report is not what is tested."""
    monkeypatch.setattr(campaign, "write_report", lambda *anything: None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A campaign flown from start to end by one hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.renderer.OceanMask", NoOcean)
        out = tmp_path_factory.mktemp("whole") / "run"
        fly(out)
    return out


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _timeless(path):
    return [{**fix, "latency_ms": 0, "render_ms": 0} for fix in _lines(path)]


def _is_the_same(out, other):
    assert (out / "truth.jsonl").read_text() == (other / "truth.jsonl").read_text()
    assert _timeless(out / "fixes.jsonl") == _timeless(other / "fixes.jsonl")
    frames = sorted(path.name for path in (other / "frames").iterdir())
    assert sorted(path.name for path in (out / "frames").iterdir()) == frames
    for name in frames:
        assert (out / "frames" / name).read_bytes() == (other / "frames" / name).read_bytes()


def test_a_campaign_leaves_truth_fixes_orbit_footprints_statistics_and_a_report(whole):
    truths, fixes = _lines(whole / "truth.jsonl"), _lines(whole / "fixes.jsonl")
    assert [truth["index"] for truth in truths] == list(range(FRAMES)) == [fix["index"] for fix in fixes]
    for truth in truths:
        assert (whole / truth["file"]).stat().st_size > 500
        position = ecef_from_geodetic(truth["lat_deg"], truth["lon_deg"], truth["altitude_m"])
        np.testing.assert_allclose(position, truth["position_ecef_m"], atol=0.02)
        w, x, y, z = truth["quat_ecef_from_cam_wxyz"]
        forward = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
        down = ecef_from_nadir_camera(truth["lat_deg"], truth["lon_deg"], 0.0)[:, 2]
        assert np.degrees(np.arccos(forward @ down)) == pytest.approx(truth["off_nadir_deg"], abs=2e-3)
        assert 0 < truth["off_nadir_deg"] < 4 and truth["earth_share"] == 1.0
    statistics = json.loads((whole / "statistics.json").read_text())
    wrong = [fix["index"] for fix in fixes if fix["error_m"] and fix["error_m"] > 25e3]
    assert wrong == [WRONG] and statistics["all"]["wrong"] == 1
    assert statistics["first_fix"]["flights"][0]["frames"] == FRAMES
    assert all(fix["lat_deg"] is None and fix["error_m"] is None for fix in fixes if fix["status"] != "FIX")
    right = next(fix for fix in fixes if fix["error_m"] and fix["index"] != WRONG)
    assert right["error_neu_m"][0] == pytest.approx(0.01 / 360 * 2 * np.pi * 6.97e6, rel=0.02)  # north, at 600 km
    assert right["normalised_error2"] == pytest.approx((np.array(right["error_neu_m"]) ** 2).sum() / 1e6, rel=1e-6)
    assert (whole / "map.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in whole.iterdir()} == {
        "config.json", "truth.jsonl", "fixes.jsonl", "frames", "orbit.oem", "footprints.geojson", "statistics.json",
        "map.png", "report.html",
    }  # fmt: skip
    assert "wrong" in table(statistics)


def test_frames_do_not_depend_on_how_many_there_are_but_on_the_seed(whole, tmp_path, plain):
    fly(tmp_path / "short", flown=scenario(frames=3))
    fly(tmp_path / "other", flown=scenario(seed=2))
    for name in ("000000.jpg", "000001.jpg", "000002.jpg"):
        frame = (whole / "frames" / name).read_bytes()
        assert frame == (tmp_path / "short" / "frames" / name).read_bytes()
        assert frame != (tmp_path / "other" / "frames" / name).read_bytes()


def test_an_interrupted_campaign_is_completed_not_repeated(whole, tmp_path, plain):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        fly(out, SerialCrew(dies_at=4))
    assert not (out / "fixes.jsonl").exists()
    # The end came in the middle of a line, and a frame was lost as well.
    with (out / "fixes.jsonl.partial").open("a") as stream:
        stream.write('{"index": 4, "stat')
    (out / "frames" / "000002.jpg").unlink()
    untouched = (out / "frames" / "000001.jpg").stat().st_mtime_ns
    second = SerialCrew()
    fly(out, second)
    assert second.done == FRAMES - 3
    assert (out / "frames" / "000001.jpg").stat().st_mtime_ns == untouched
    _is_the_same(out, whole)
    third = SerialCrew()
    fly(out, third)
    assert third.done == 0


def test_kill_9_in_the_middle_loses_nothing_doubles_nothing_and_leaves_no_worker(whole, tmp_path, plain):
    out = tmp_path / "killed"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    victim = subprocess.Popen([sys.executable, sim_crews.__file__, str(out)], env=environment)
    log = out / "fixes.jsonl.partial"
    deadline = time.monotonic() + 240
    while not (log.exists() and len(log.read_text().splitlines()) >= 2):
        assert victim.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    workers = psutil.Process(victim.pid).children(recursive=True)
    assert len(workers) >= 2
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    done = len(log.read_text().splitlines())
    assert done < FRAMES
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    rest = SerialCrew()
    fly(out, rest)
    assert FRAMES - done <= rest.done <= FRAMES - done + 1
    _is_the_same(out, whole)


def test_a_dask_cluster_makes_the_same_campaign(whole, tmp_path, plain):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=str(tmp_path)
    ) as cluster:
        fly(tmp_path / "dask", DaskCrew(cluster.scheduler_address))
    _is_the_same(tmp_path / "dask", whole)


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, plain, monkeypatch):
    monkeypatch.setattr("sim.crew.CONNECT_S", 0.5)
    with pytest.raises(SimError, match=r"--scheduler tcp://127\.0\.0\.1:9: no Dask scheduler answers"):
        fly(tmp_path / "run", DaskCrew("tcp://127.0.0.1:9"))


def _dies(job):
    os._exit(7)


def test_a_worker_that_dies_is_named():
    with pytest.raises(SimError, match="a worker process died"):
        list(LocalCrew(1).work(_dies, [1]))


def _naps(seconds):
    """Wakes after so long, in a bad mood where the number is negative."""
    time.sleep(abs(seconds))
    if seconds < 0:
        raise ValueError("bad mood")
    return seconds


def test_a_job_that_fails_waits_for_no_other():
    given, begin = [], time.monotonic()
    with pytest.raises(ValueError, match="bad mood"):
        for result in LocalCrew(2).work(_naps, [0.01, 300, -1.0, 300]):
            given.append(result)
    assert given == [0.01] and time.monotonic() - begin < 60


def test_what_is_done_is_given_before_a_failure_is_raised():
    with ThreadPoolExecutor(1) as thread:
        ended = iter([thread.submit(_naps, -0.01), thread.submit(_naps, 0.02)])
    executor = SimpleNamespace(submit=lambda function, job: next(ended))
    results = _as_they_come(executor, _naps, [-0.01, 0.02], hands=1)
    assert next(results) == 0.02
    with pytest.raises(ValueError, match="bad mood"):
        next(results)


def test_an_interruption_of_the_parent_alone_waits_for_no_job():
    script = (
        "import signal\nfrom sim.crew import LocalCrew\nfrom test_sim_campaign import _naps\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where a shell began us in the background
        "if __name__ == '__main__':\n"
        "    for result in LocalCrew(2).work(_naps, [0.01, 300, 300, 300]): print(result, flush=True)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parent.parent}"}
    parent = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "0.01\n"
    workers = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal.SIGINT)
    parent.communicate(timeout=60)
    assert parent.returncode == -signal.SIGINT and not psutil.wait_procs(workers, timeout=20)[1]


def test_only_wrong_frames_and_a_sample_are_kept_unless_asked(tmp_path, plain, monkeypatch):
    monkeypatch.setattr(campaign, "SAMPLE", 2)
    fly(tmp_path / "few")
    kept = sorted(path.name for path in (tmp_path / "few" / "frames").iterdir())
    assert kept == ["000000.jpg", f"{WRONG:06d}.jpg", f"{FRAMES - 1:06d}.jpg"]
    rest = SerialCrew()
    fly(tmp_path / "few", rest, keep_frames=True)  # more are wanted: only those are made
    assert rest.done == FRAMES - 3
    assert len(list((tmp_path / "few" / "frames").iterdir())) == FRAMES


def test_what_sensors_tell_errs_as_it_says(tmp_path, plain):
    TOLD.clear()
    fly(tmp_path / "run", sensors=AttitudeSensors(0.2, 0.1))
    assert [(attitude.sigma_rad, vertical.sigma_rad) for attitude, vertical in TOLD] == [
        (np.radians(0.1), np.radians(0.2))
    ] * FRAMES
    shot, sensors = scenario().shots()[0], AttitudeSensors(0.2, 0.1)
    assert AttitudeSensors().vertical(shot) is None and AttitudeSensors().attitude(shot) is None
    down_cam = shot.ecef_from_cam.T @ ecef_from_ned(shot.lat_deg, shot.lon_deg)[:, 2]
    off_vertical, off_attitude = [], []
    for one in (replace(shot, index=index) for index in range(2000)):
        off_vertical.append((np.array(sensors.vertical(one).down_cam) - down_cam)[:2])  # it looks down, to a degree
        turned = matrix_from_quat(np.array(sensors.attitude(one).quat_ecef_from_cam_wxyz))
        off_attitude.append(cv2.Rodrigues(shot.ecef_from_cam.T @ turned)[0][:, 0])
    np.testing.assert_allclose(np.std(off_vertical, axis=0), np.radians(0.2), rtol=0.06)
    np.testing.assert_allclose(np.std(off_attitude, axis=0), np.radians(0.1), rtol=0.06)
    assert abs(np.corrcoef(np.transpose(off_vertical)[0], np.transpose(off_attitude)[1])[0, 1]) < 0.1


def test_another_configuration_is_refused(tmp_path, plain):
    fly(tmp_path / "run")
    with pytest.raises(SimError, match=r"another campaign \(different: seed\)"):
        fly(tmp_path / "run", config={"seed": 99})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(SimError, match="is no campaign"):
        fly(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("text", ["[]", '"x"', "{"])
def test_what_is_no_configuration_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(SimError, match=r"config\.json: is no "):
        campaign.claim(tmp_path, {"seed": 1})


def test_going_on_with_other_code_is_told_and_recorded(tmp_path, capsys):
    out, night, morning = tmp_path / "run", {"code_sha256": "a"}, {"code_sha256": "b"}
    for versions, told in ((night, False), (night, False), (morning, True), (morning, False), (night, False)):
        campaign.claim(out, {"seed": 1, "versions": versions})
        assert ("begun with other code" in capsys.readouterr().err) == told
    assert json.loads((out / "config.json").read_text()) == {
        "seed": 1, "versions": night, "resumed_with": [morning]
    }  # fmt: skip


def test_a_log_drops_the_line_a_kill_cut_off(tmp_path):
    log = RecordLog(tmp_path / "log.jsonl")
    log.append({"index": 1, "a": 1})
    with (tmp_path / "log.jsonl.partial").open("a") as stream:
        stream.write('{"index": 0, "a"')
    again = RecordLog(tmp_path / "log.jsonl")
    again.append({"index": 0, "a": 2})
    assert RecordLog(tmp_path / "log.jsonl").finish() == [{"index": 0, "a": 2}, {"index": 1, "a": 1}]
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


class _NorthernMosaic(WavyMosaic):
    """Nothing south of 20 degrees north."""

    def sample(self, lat_deg, lon_deg, gsd_m):
        rgb, valid = super().sample(lat_deg, lon_deg, gsd_m)
        return rgb, valid & (lat_deg > 20)


def test_a_mosaic_that_does_not_cover_the_track_is_named_before_anything_is_made(tmp_path):
    flown = scenario()
    south = [shot.lat_deg for shot in flown.shots() if shot.lat_deg <= 20]
    with pytest.raises(SimError) as caught:
        campaign.run_campaign(flown, _NorthernMosaic(), sim_crews.Cheat(flown), tmp_path / "run", {}, SerialCrew())
    assert f"{len(south)} of {FRAMES} frames" in str(caught.value)
    assert f"latitudes {min(south):.1f} to {max(south):.1f}" in str(caught.value)
    assert not (tmp_path / "run").exists()


class _AwayPointing:
    """At the zenith."""

    def ecef_from_cam(self, times, positions_ecef_m, velocities_ecef_m_s):
        up = positions_ecef_m / np.linalg.norm(positions_ecef_m, axis=1, keepdims=True)
        return np.array([cv2.Rodrigues(np.cross([0.0, 0, 1], u) / np.linalg.norm(np.cross([0.0, 0, 1], u))
                                       * np.arccos(u[2]))[0] for u in up])  # fmt: skip

    def as_dict(self):
        return {"kind": "away"}


def test_a_camera_that_never_sees_the_earth_is_named(tmp_path):
    steady = scenario()
    flown = replace(steady, flights=(replace(steady.flights[0], attitude=_AwayPointing()),))
    with pytest.raises(SimError, match=f"looks away from the Earth: in all {FRAMES} frames"):
        fly(tmp_path / "run", flown=flown)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frames", "0"], "--frames: 0: must be 1 or more"),
        (["--frames", "1e3"], "--frames: 1e3: must be a whole number"),
        (["--tumble-deg-s", "nan"], "--tumble-deg-s: nan: must be -60 to 60"),
        (["--every-s", "-5"], "--every-s: -5: must be 0.01 to 1e+07"),
        (["--clouds", "1.5"], "--clouds: 1.5: must be 0 to 1"),
        (["--start", "yesterday"], "no UTC time"),
        (["--seed", "-1"], "--seed: -1: must be 0 or more"),
        (["--vertical-sigma-deg", "0"], "--vertical-sigma-deg: 0: must be 1e-06 to 30"),
        (["--scenario", "hard", "--vertical-sigma-deg", "1"], "--vertical-sigma-deg is for"),
        (["--workers", "0"], "--workers: 0: must be 1 or more"),
        (["--scheduler", "nope"], "must be an address such as"),
        (["--scenario", "moon"], "invalid choice: 'moon'"),
        (["--scenario", "orbits", "--orbits", "0"], "--orbits: 0: must be 1 or more"),
        (["--scenario", "orbits", "--revolutions", "inf"], "--revolutions: inf: must be"),
        (["--scenario", "orbits", "--every-s", "1e6"], "gives none"),
        (
            ["--scenario", "orbits", "--frames", "9"],
            "--frames is for --scenario orbit or land or reject or hard, not orbits",
        ),
        (["--scenario", "reject", "--clouds", "0.5"], "--clouds is for"),
        (["--scenario", "land", "--tumble-deg-s", "1"], "are for --scenario orbit or orbits"),
        (["--scenario", "land", "--tumble-deg-s", "0"], "are for --scenario orbit or orbits"),
        (["--mission", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--mosaic", "nowhere.tif"], "nowhere.tif: no such file"),
        (["--pack", "nowhere"], "nowhere"),
        ([], "is of mission 'iss-405km', not 'test-600km'; name that one's with --pack"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, capsys, arguments, message):
    mission, mosaic = write_mission(tmp_path), _tiny_mosaic(tmp_path)
    words = ["sim", "run", "--mission", mission, "--mosaic", mosaic, "--out", tmp_path / "run", *arguments]
    try:
        assert main([str(word) for word in words]) == 2
    except SystemExit as stop:  # argparse's own way
        assert stop.code == 2
    complaint = capsys.readouterr().err
    assert message in complaint and "Traceback" not in complaint
    assert len(complaint.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_tle_too_old_for_its_start_is_named():
    from onboard.mission import Orbit

    tle = (
        "1 25544U 98067A   26182.50000000  .00010000  00000-0  18000-3 0  9990",
        "2 25544  51.6400 100.0000 0005000  60.0000 300.0000 15.50000000    10",
    )
    mission = replace(small_mission(), orbit=Orbit((400e3, 430e3), (51.6, 51.6), tle))
    assert np.datetime_as_string(draw_scenario(mission, 2, 60.0, 0).flights[0].times[0], "D") == "2026-07-01"
    with pytest.raises(SimError, match="days from the time"):
        draw_scenario(mission, 2, 60.0, 0, np.datetime64("2027-01-01T00:00:00")).shots()


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
