"""Hardware in the loop, between two processes: every frame is accounted for, whatever happens to the target.

The same against a device: `NADIR_TARGET=tcp://HOST:5555 pytest -m jetson` (docs/hil.md).
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import sim_crews
from hil_target import WRONG
from sim_crews import FRAMES, SerialCrew
from sim_worlds import NoOcean, WavyMosaic, write_mission

from onboard.camera_files import load_camera
from onboard.cli import main
from onboard.images import read_image
from onboard.localizer import Localizer
from sim import campaign
from sim.demo import MISSION_FILE
from sim.errors import SimError
from sim.hil import run_hil, way_statistics
from sim.hil_drive import DROPPED, LOST, Patience, Sent, drive_fast, drive_realtime
from sim.target import Target

HERE = Path(__file__).parent
MISSION = "test-600km"
PATIENCE = Patience(timeout_s=3.0, restart_s=20.0)


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    """No ocean mask and no report: their seconds are spent where they are tested."""
    monkeypatch.setattr("sim.renderer.OceanMask", NoOcean)
    monkeypatch.setattr(campaign, "write_report", lambda *anything: None)


class Process:
    """A target in a process of its own; `start` again keeps the address."""

    def __init__(self, truth):
        self.address, self.process, self._truth = "tcp://127.0.0.1:0", None, truth

    def start(self, pause_s=0.0, mission=MISSION):
        script, truth = HERE / "hil_target.py", self._truth
        command = [sys.executable, str(script), self.address, str(pause_s), mission, str(truth)]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        self.address = self.process.stdout.readline().strip()
        return self

    def kill(self):
        """As a power cut does: SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


@pytest.fixture
def process(rendered):
    process = Process(rendered / "truth.jsonl")
    yield process
    process.kill()


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A run's directory with every frame rendered and none sent: rendering is paid once."""
    out = tmp_path_factory.mktemp("rendered") / "run"

    class Silent:
        address = "nowhere"

        def health(self, timeout_s):
            return {"mission": MISSION, "pack": {}}

        def send(self, message):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.renderer.OceanMask", NoOcean)
        with pytest.raises(KeyboardInterrupt):
            _fly(out, Silent())
    return out


@pytest.fixture
def out(rendered, tmp_path):
    """A copy of it."""
    return shutil.copytree(rendered, tmp_path / "run")


def _fly(out, target, patience=PATIENCE):
    flown = sim_crews.scenario()
    return run_hil(flown, WavyMosaic(), target, out, {"seed": 1}, SerialCrew(), False, patience)


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_answer_is_judged_and_the_way_is_told(process, out):
    with Target(process.start().address) as target:
        statistics = _fly(out, target)
    fixes = _lines(out / "fixes.jsonl")
    assert [fix["index"] for fix in fixes] == list(range(FRAMES))
    wrong = [fix["index"] for fix in fixes if fix["status"] == "FIX" and fix["error_m"] > 25e3]
    assert wrong == [WRONG] and statistics["all"]["wrong"] == 1 and statistics["all"]["frames"] == FRAMES
    for fix in fixes:
        assert fix["attempts"] == 1 and fix["instance"] == fixes[0]["instance"]
        assert fix["latency_ms"] > 0 and fix["waited_ms"] >= 0
    way = json.loads((out / "hil.json").read_text())
    assert way == statistics["hil"]
    counts = {name: way[name] for name in ("frames", "answered", "dropped", "lost", "sent_again", "restarts")}
    assert counts == {"frames": FRAMES, "answered": FRAMES, "dropped": 0, "lost": 0, "sent_again": 0, "restarts": 0}
    assert way["target_at_end"]["served"] == FRAMES and way["target_at_end"]["malformed"] == 0
    assert way["latency_ms"]["median"] <= way["latency_ms"]["p99"] <= way["latency_ms"]["max"]
    assert 0 < way_statistics(fixes, way["latency_ms"]["median"])["within_budget"] < FRAMES == way["within_budget"]
    assert (out / "statistics.json").exists() and not list(out.rglob("*.partial"))

    # Run again: nothing is sent, the same is told.
    with Target(process.address) as target:
        again = _fly(out, target)
        assert target.health(5.0)["served"] == FRAMES
    assert again["all"] == statistics["all"]


def test_a_target_killed_in_the_middle_is_waited_for_and_nothing_is_lost(process, out):
    process.start(pause_s=0.15)
    restarted = threading.Thread(target=_restart_after, args=(process, out, 2))
    restarted.start()
    with Target(process.address) as target:
        statistics = _fly(out, target, patience=Patience(timeout_s=1.5, restart_s=30.0))
    restarted.join()
    fixes = _lines(out / "fixes.jsonl")
    assert [fix["index"] for fix in fixes] == list(range(FRAMES)) and statistics["all"]["frames"] == FRAMES
    assert len({fix["instance"] for fix in fixes}) == 2
    way = statistics["hil"]
    assert (way["answered"], way["lost"], way["restarts"]) == (FRAMES, 0, 1) and way["sent_again"] >= 1
    assert sum(fix["attempts"] - 1 for fix in fixes) == way["sent_again"]


def _kill_after(process, out, answers):
    """Kill the target once some frames are answered."""
    log = out / "fixes.jsonl.partial"
    while not log.exists() or log.read_bytes().count(b"\n") < answers:
        time.sleep(0.01)
    process.kill()


def _restart_after(process, out, answers):
    """The same, and start it again a moment later."""
    _kill_after(process, out, answers)
    time.sleep(0.3)
    process.start()


def test_a_slow_target_is_waited_for_and_not_asked_twice(process, tmp_path):
    with Target(process.start(pause_s=1.0).address) as target:
        assert target.health(10.0)
        answers = list(drive_fast(target, _frames(tmp_path, 2, 1.0), Patience(0.2, 20.0), lambda text: None))
        assert target.health(5.0)["received"] == 2
    assert [answer.attempts for answer in answers] == [1, 1] and min(answer.latency_ms for answer in answers) > 1000


def test_a_target_that_stays_away_ends_the_run_which_a_rerun_completes(process, out):
    process.start(pause_s=0.15)
    killed = threading.Thread(target=_kill_after, args=(process, out, 2))
    killed.start()
    with (
        Target(process.address) as target,
        pytest.raises(
            SimError, match=r"no answer for 1 s at frame \d.*kept: start 'nadir serve' there and run the same"
        ),
    ):
        _fly(out, target, patience=Patience(timeout_s=0.5, restart_s=0.5))
    killed.join()
    answered = len(_lines(out / "fixes.jsonl.partial"))
    assert 2 <= answered < FRAMES
    process.start()
    with Target(process.address) as target:
        statistics = _fly(out, target)
        assert target.health(5.0)["served"] == FRAMES - answered
    assert statistics["hil"]["answered"] == FRAMES and statistics["hil"]["restarts"] == 1


def test_in_real_time_frames_are_sent_by_the_clock_and_a_slow_target_drops_them(process, tmp_path):
    frames = _frames(tmp_path, 12, 0.1)
    with Target(process.start(pause_s=0.35).address) as target:
        assert target.health(10.0)
        begin = time.monotonic()
        answers = list(drive_realtime(target, frames, PATIENCE, lambda text: None))
        health = target.health(10.0)
    assert 1.1 < time.monotonic() - begin < 6
    assert sorted(answer.index for answer in answers) == list(range(12))
    dropped = [answer for answer in answers if answer.lost is not None]
    assert all(answer.lost[0] == DROPPED and "newer frames" in answer.lost[1] for answer in dropped)
    # Twelve frames in 1.2 s, 0.35 s each: at most four are solved meanwhile, the one in hand and two waiting after.
    assert 4 <= len(dropped) == health["dropped"] <= 9
    assert max(answer.index for answer in dropped) < 11, "the newest frame is the last to be dropped"


def test_in_real_time_a_stale_frame_is_lost_not_sent_again(process, tmp_path):
    frames = _frames(tmp_path, 6, 0.2)
    with Target(process.start().address) as target:
        assert target.health(10.0)
        answers = []
        for answer in drive_realtime(target, frames, Patience(0.5, 1.0), lambda text: None):
            answers.append(answer)
            if answer.index == 1:
                process.kill()
    assert sorted(answer.index for answer in answers) == list(range(6))
    lost = [answer.lost for answer in answers if answer.index >= 2]
    assert all(why[0] == LOST for why in lost) and any("not connected" in why[1] for why in lost)


def _frames(folder, count, every_s):
    picture = cv2.imencode(".jpg", np.full((72, 96, 3), 90, np.uint8))[1]
    (folder / "frame.jpg").write_bytes(picture.tobytes())
    known = {"timestamp_ns": 5, "altitude_m": [600e3, 2e4]}
    return [Sent(index, 100.0 + every_s * index, folder / "frame.jpg", known) for index in range(count)]


def test_a_target_of_another_mission_or_nowhere_is_told(process, tmp_path, monkeypatch):
    monkeypatch.setattr("sim.hil.GREETING_S", 0.3)
    with (
        Target("tcp://127.0.0.1:9") as target,
        pytest.raises(SimError, match=r"no answer from tcp://127\.0\.0\.1:9 .*'nadir serve"),
    ):
        _fly(tmp_path / "run", target)
    monkeypatch.setattr("sim.hil.GREETING_S", 10.0)
    with (
        Target(process.start(mission="other").address) as target,
        pytest.raises(SimError, match="the mission 'other', --mission is 'test-600km'"),
    ):
        _fly(tmp_path / "run", target)
    assert not (tmp_path / "run").exists()
    with pytest.raises(SimError, match="'nonsense' is no address"):
        Target("nonsense")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--timeout-s", "0"], "--timeout-s: 0: must be 0.01 to 86400"),
        (["--frames", "0"], "--frames: 0: must be 1 or more"),
        (["--seed", "-1"], "--seed: -1: must be 0 or more"),
        (["--workers", "0"], "--workers: 0: must be 1 or more"),
        (["--target", "here"], "'here' is no address"),
        (["--mosaic", "nowhere.tif"], "nowhere.tif: no such file"),
        (["--attitude", "gone.csv"], "gone.csv: No such file"),
        (["--tumble-deg-s", "0"], "--tumble-deg-s 0: give a rate"),
    ],
)
def test_mistakes_get_one_clear_line(tmp_path, blue_marble, capsys, arguments, message):
    mission = write_mission(tmp_path)
    words = ["sim", "hil", "--target", "tcp://127.0.0.1:9", "--mission", str(mission), "--mosaic", str(blue_marble)]
    try:
        assert main([*words, "--out", str(tmp_path / "run"), *arguments]) == 2
    except SystemExit as stop:  # argparse's own way
        assert stop.code == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1


def _drive(address, mission_file, mosaic, out, frames=5):
    """The verb itself, over daylit land; returns its exit code, statistics and fixes."""
    words = [
        "sim",
        "hil",
        "--target",
        address,
        "--mission",
        str(mission_file),
        "--mosaic",
        str(mosaic),
        "--out",
        str(out),
    ]
    options = ["--frames", str(frames), "--every-s", "20", "--start", START, "--seed", "144", "--clouds", "0"]
    code = main([*words, *options, "--workers", "1"])
    return code, json.loads((out / "hil.json").read_text()), _lines(out / "fixes.jsonl")


START = "2026-07-01T00:00:00"


def test_the_whole_chain_with_a_real_pack(pack, mission_file, blue_marble, tmp_path):
    """`nadir serve` here, `nadir sim hil` there: the fixes are those that `localize` gives for the same pictures."""
    command = [sys.executable, "-m", "onboard.cli", "serve", "--pack", str(pack), "--bind", "tcp://127.0.0.1:0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = server.stderr.readline().split(" at ")[1].strip()
        code, way, fixes = _drive(address, mission_file, blue_marble, tmp_path / "run")
    finally:
        server.kill()
        server.wait()
    assert code == 0 and way["answered"] == len(fixes) == 5 and way["target_at_end"]["mission"] == "wide-700km"
    localizer = Localizer(pack, load_camera(mission_file.parent / "camera.yaml"))
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["pack"] == {"manifest_sha256": way["target_at_start"]["pack"]["manifest_sha256"]}
    for fix, truth in zip(fixes, _lines(tmp_path / "run" / "truth.jsonl")):
        here = localizer.localize(read_image(tmp_path / "run" / truth["file"]), altitude_m=(700e3, _sigma_m()))
        assert fix["status"] == here.status.value
        assert fix["lat_deg"] == (here.lat_deg if here else None)
    assert sum(fix["status"] == "FIX" for fix in fixes) >= 1


def _sigma_m():
    return float(np.hypot(20e3 / np.sqrt(12), campaign.ALTITUDE_SIGMA_M))


@pytest.mark.jetson
def test_a_device_answers_every_frame_and_none_wrong(blue_marble, tmp_path):
    """Against $NADIR_TARGET, which serves the demo's pack (`make demo`, then copy demo/pack there)."""
    address = os.environ.get("NADIR_TARGET")
    if not address:
        pytest.skip("no device: set NADIR_TARGET=tcp://HOST:5555 (docs/hil.md)")
    code, way, fixes = _drive(address, MISSION_FILE, blue_marble, tmp_path / "run", frames=20)
    assert code == 0 and way["answered"] == len(fixes) == 20 and way["lost"] == way["dropped"] == 0
    assert sum(fix["status"] == "FIX" for fix in fixes) >= 1
