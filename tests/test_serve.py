"""The runtime behind a socket: every request gets one reply, whatever it holds, and old frames give way to new ones."""

import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onboard import wire
from onboard.camera import Camera
from onboard.cli import main
from onboard.errors import INTERNAL_ERROR, WireError
from onboard.fix import Attitude, Fix, Prior, Status, Vertical, no_fix
from onboard.images import jpeg_size
from onboard.server import QUEUE, Server

FRAME = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)
FIX = Fix(
    Status.FIX, lat_deg=1.5, lon_deg=-2.5, altitude_m=4e5, heading_deg=3.0, sigma_m=900.0,
    position_ecef_m=np.array([6.7e6, 1.0, -2.0]), covariance_ecef_m2=np.diag([1e6, 2e6, 3e6]),
    quat_ecef_from_cam_wxyz=np.array([0.5, 0.5, -0.5, 0.5]), false_fix_probability=1e-7, inliers=31, votes=12,
    timestamp_ns=7, timings_ms={"total": 12.5},
)  # fmt: skip


class Recorder:
    """Answers FIX, keeps what it was asked, and holds every frame until `gate` opens."""

    def __init__(self):
        self.asked, self.gate = [], threading.Event()
        self.camera = Camera(32, 24, 30.0, 30.0, 15.5, 11.5)
        self.gate.set()

    def localize(self, frame, **knowledge):
        self.asked.append((frame, knowledge))
        assert self.gate.wait(10)
        return FIX


@pytest.fixture
def served():
    """A server on a free port with a recorder behind it."""
    recorder = Recorder()
    server = Server(recorder, "tcp://127.0.0.1:0", {"mission": "test"})
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server, recorder
    recorder.gate.set()
    server.stop()
    thread.join(10)
    assert not thread.is_alive()


class Client:
    """A DEALER, or with ``kind=zmq.REQ`` the simplest socket there is."""

    def __init__(self, server, kind=zmq.DEALER):
        self.socket = zmq.Context.instance().socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(server.endpoint)

    def send(self, parts):
        self.socket.send_multipart(parts)

    def reply(self, timeout_s=10.0):
        assert self.socket.poll(timeout_s * 1e3), "no reply"
        # An empty first part makes the server take a DEALER for a REQ; its reply then has one, too.
        return wire.parse_reply(self.socket.recv_multipart()[-1:])

    def ask(self, parts):
        self.send(parts)
        return self.reply()


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
def test_a_frame_and_all_that_is_known_arrive_and_the_whole_fix_comes_back(served, kind):
    server, recorder = served
    told = {
        "timestamp_ns": 7, "altitude_m": [4e5, 5e3], "deadline_ms": 5000,
        "attitude": {"quat_ecef_from_cam_wxyz": [1, 0, 0, 0], "sigma_rad": 0.01},
        "prior": {"lat_deg": 1, "lon_deg": 2, "sigma_m": 5e4},
        "vertical": {"down_cam": [0, 0.6, 0.8], "sigma_rad": 0.02}, "mount_heading_deg": 90,
    }  # fmt: skip
    header = Client(server, kind).ask(wire.frame_message(41, FRAME, **told))
    assert (header["kind"], header["seq"], header["instance"]) == ("fix", 41, server.instance)
    frame, knowledge = recorder.asked[0]
    np.testing.assert_array_equal(frame, FRAME)
    assert 4000 < knowledge.pop("deadline_ms") <= 5000
    assert knowledge == {
        "timestamp_ns": 7, "altitude_m": (4e5, 5e3), "attitude": Attitude((1, 0, 0, 0), 0.01),
        "prior": Prior(1, 2, 5e4), "vertical": Vertical((0, 0.6, 0.8), 0.02),
        "mount_heading_deg": 90.0,
    }  # fmt: skip
    fix = wire.fix_of(header)
    for name in Fix.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(fix, name), getattr(FIX, name))
    assert header["served_ms"] >= header["waited_ms"] >= 0


def test_without_a_fix_every_estimate_is_null_and_comes_back_as_nan():
    nothing = no_fix(Status.DARK, "night", inliers=3, timestamp_ns=9)
    header = json.loads(wire.reply("fix", 1, "x", **wire.plain_fix(nothing)))
    assert header["lat_deg"] is None and header["covariance_ecef_m2"] is None and header["status"] == "DARK"
    back = wire.fix_of(header)
    for name in Fix.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(back, name), getattr(nothing, name))


def test_grey_and_jpeg_frames(served):
    server, recorder = served
    client = Client(server)
    assert client.ask(wire.frame_message(1, FRAME[..., 0]))["kind"] == "fix"
    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), (0, 0, 255), np.uint8))[1].tobytes()
    assert client.ask(wire.frame_message(2, jpeg))["kind"] == "fix"
    assert recorder.asked[0][0].shape == (24, 32)
    assert recorder.asked[1][0].shape == (48, 64, 3) and recorder.asked[1][0][0, 0, 0] > 240  # RGB: red first
    broken = client.ask(wire.frame_message(3, jpeg[:100]))
    assert broken["status"] == "BAD_FRAME" and "JPEG" in broken["reason"] and len(recorder.asked) == 2


def test_the_worker_outlives_what_a_frame_does_to_it(served, monkeypatch):
    server, recorder = served
    client = Client(server)

    def out_of_memory(*_, **__):
        raise MemoryError("no room")

    with monkeypatch.context() as broken:
        broken.setattr(recorder, "localize", out_of_memory)
        header = client.ask(wire.frame_message(1, FRAME))
    assert (header["kind"], header["seq"], header["status"]) == ("fix", 1, "BAD_FRAME")
    assert header["reason"] == f"{INTERNAL_ERROR}: MemoryError: no room"
    assert client.ask(wire.frame_message(2, FRAME))["status"] == "FIX"


def _frame(**changes):
    header, payload = wire.frame_message(5, FRAME)
    plain = {**json.loads(header), **changes}
    return [json.dumps({key: value for key, value in plain.items() if value is not ...}).encode(), payload]


@pytest.mark.parametrize(
    ("parts", "says", "seq"),
    [
        ([b""], "0 parts", None),  # what a REQ sends before its message, and no message
        ([b"\xff\xfe{"], "no JSON", None),
        ([b"[" * 60_000], "no JSON", None),
        ([b"[1]"], "must be a JSON object", None),
        ([b"{}"], "nadir: this server speaks protocol 1, not None", None),
        (_frame(nadir=2), "protocol 1, not 2", 5),
        (_frame(kind="photo"), "kind: must be 'frame' or 'health', not 'photo'", 5),
        (_frame(kind=["frame"]), "kind: must be", 5),
        (_frame(seq=...), "seq: must be a whole number", None),
        (_frame(seq=-1), "seq: must be a whole number", -1),
        (_frame(seq=True), "seq: must be a whole number", None),
        (_frame()[:1], "needs its bytes as the second part", 5),
        ([*_frame(), b"more"], "this has 3 parts", None),
        (_frame(encoding="png"), "encoding: must be 'raw' or 'jpeg', not 'png'", 5),
        (_frame(dtype="float32"), "dtype: must be 'uint8', not 'float32'", 5),
        (_frame(shape=[24, 32, 4]), "asks for 3072 bytes, the payload has 2304", 5),
        (_frame(shape=[-24, -96]), "shape: must be a whole number", 5),
        (_frame(shape=[1 << 40, 1 << 40]), "asks for", 5),
        (_frame(shape="big"), "shape: must be [H, W, 3] or [H, W]", 5),
        (_frame(shape=[2304]), "shape: must be [H, W, 3]", 5),
        (_frame(altitude_km=400), "unknown key altitude_km; known here: encoding, shape, dtype, timestamp_ns", 5),
        (_frame(altitude_m=400e3), "altitude_m: must be 2 numbers", 5),
        (_frame(altitude_m=[4e5, float("nan")]), "altitude_m: nan is no number", 5),
        (_frame(altitude_m=[10**400, 1]), "is no number", 5),
        (_frame(attitude={"quat_ecef_from_cam_wxyz": [1, 0, 0, 0]}), "attitude: must have", 5),
        (_frame(attitude={"quat_ecef_from_cam_wxyz": [1, 0, 0], "sigma_rad": 1}), "attitude: must be 4 numbers", 5),
        (_frame(prior=[1, 2, 3]), "prior: must have lat_deg, lon_deg, sigma_m", 5),
        (_frame(deadline_ms="soon"), "deadline_ms: 'soon' is no number", 5),
        (_frame(timestamp_ns=1.5), "timestamp_ns: must be a whole number", 5),
        ([b'{"nadir": 1, "kind": "' + b"x" * 70_000 + b'", "seq": 6}'], "65536 are allowed", None),
        ([wire.health_message(6)[0], b"x"], "health takes no payload", 6),
        ([b'{"nadir": 1, "kind": "health", "seq": 6, "verbose": true}'], "unknown key verbose; known here: none", 6),
    ],
)
def test_a_malformed_message_gets_an_error_reply(served, parts, says, seq):
    server, recorder = served
    client = Client(server)
    header = client.ask(parts)
    assert header["kind"] == "error" and says in header["reason"] and len(header["reason"]) <= 500
    assert header["seq"] == seq and not recorder.asked
    health = client.ask(wire.health_message(9))
    assert health["malformed"] == 1 and health["received"] == 0


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=4)
    | st.dictionaries(
        st.sampled_from(["nadir", "kind", "seq", "encoding", "shape", "dtype", "altitude_m", "prior", "deadline_ms"]),
        st.sampled_from([1, 0, -1, 1.5, None, True, "frame", "health", "raw", "jpeg", "uint8", [], [4, 4], {}]),
    ).map(lambda plain: [json.dumps(plain).encode(), b"0123456789abcdef"])
)
def test_no_bytes_stop_the_server(served, parts):
    client = Client(served[0])
    reply = client.ask(parts)
    assert reply["kind"] in ("error", "fix")
    assert client.ask(wire.health_message(1))["kind"] == "health"
    client.socket.close()


def test_the_oldest_waiting_frame_is_dropped_counted_and_told(served):
    server, recorder = served
    recorder.gate.clear()
    client = Client(server)
    client.send(wire.frame_message(0, FRAME))
    while not recorder.asked:  # number 0 is being solved
        time.sleep(0.005)
    for seq in range(1, 6):
        client.send(wire.frame_message(seq, FRAME))
    told = [client.reply() for _ in range(5 - QUEUE)]
    assert [(reply["kind"], reply["seq"], reply["dropped"]) for reply in told] == [
        ("dropped", seq, seq) for seq in range(1, 6 - QUEUE)
    ]
    assert "newer frames" in told[0]["reason"]
    recorder.gate.set()
    solved = [client.reply() for _ in range(1 + QUEUE)]
    assert [(reply["kind"], reply["seq"]) for reply in solved] == [("fix", 0), ("fix", 4), ("fix", 5)]
    assert solved[-1]["dropped"] == 5 - QUEUE and solved[-1]["served_ms"] >= solved[-1]["waited_ms"] > 0
    health = client.ask(wire.health_message(1))
    assert (health["received"], health["served"], health["dropped"]) == (6, 1 + QUEUE, 5 - QUEUE)


def test_health_is_told_while_a_frame_is_being_solved(served):
    server, recorder = served
    client = Client(server)
    client.ask(wire.frame_message(0, FRAME))
    recorder.gate.clear()
    client.send(wire.frame_message(1, FRAME))
    health = client.ask(wire.health_message(2))
    assert health["mission"] == "test" and health["uptime_s"] >= 0 and health["instance"] == server.instance
    assert health["statuses"] == {"FIX": 1} and health["last_status"] == "FIX"
    assert health["served_ms"]["p50"] <= health["served_ms"]["p99"] <= health["served_ms"]["max"]
    if sys.platform == "linux":
        assert 10 < health["resident_mib"] < 10_000


def test_a_frame_whose_deadline_passed_in_the_queue_is_not_solved(served):
    server, recorder = served
    recorder.gate.clear()
    client = Client(server)
    client.send(wire.frame_message(0, FRAME))
    client.send(wire.frame_message(1, FRAME, deadline_ms=20, timestamp_ns=5))
    time.sleep(0.1)
    recorder.gate.set()
    assert client.reply()["status"] == "FIX"
    late = client.reply()
    assert (late["seq"], late["status"], late["timestamp_ns"]) == (1, "TIMEOUT", 5) and "20 ms" in late["reason"]
    assert len(recorder.asked) == 1


def test_a_frame_that_is_late_is_told_the_deadline_that_its_sender_gave(served, monkeypatch):
    server, recorder = served

    def late(frame, deadline_ms):
        assert deadline_ms < 5000
        return no_fix(Status.TIMEOUT, f"not done within {deadline_ms:g} ms")

    monkeypatch.setattr(recorder, "localize", late)
    reply = Client(server).ask(wire.frame_message(1, FRAME, deadline_ms=5000))
    assert reply["status"] == "TIMEOUT" and reply["reason"].startswith("not done within 5000 ms, ")


@pytest.mark.parametrize(
    "picture, says",
    [
        (cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes(), "no JPEG"),
        (b"\xff\xd8\xff", "no JPEG"),
        (b"\xff\xd8" + b"\xff" * 50, "no JPEG"),
        (b"\xff\xd8\xff\xe0\x00\x00" * 20, "no JPEG"),
        # 900 million pixels in 3 kB: the size of a small picture, overwritten.
        (cv2.imencode(".jpg", np.zeros((64, 64), np.uint8))[1].tobytes().replace(b"\0\x40\0\x40", b"\x75\x30" * 2, 1),
         "30000x30000"),
    ],
)  # fmt: skip
def test_a_payload_that_would_burst_is_refused_unread(served, picture, says):
    server, recorder = served
    reply = Client(server).ask(wire.frame_message(1, picture))
    assert reply["status"] == "BAD_FRAME" and says in reply["reason"] and not recorder.asked


def test_the_size_of_a_jpeg_is_read_from_its_header():
    for shape in ((64, 100), (33, 17, 3)):
        for flags in ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]):
            data = cv2.imencode(".jpg", np.zeros(shape, np.uint8), flags)[1].tobytes()
            assert jpeg_size(data) == shape[:2]
            assert jpeg_size(data[:2] + b"\xff\xe1\x00\x06data\xff" + data[2:]) == shape[:2]


def test_stopping_answers_the_frame_in_hand_and_drops_the_others():
    recorder = Recorder()
    recorder.gate.clear()
    server = Server(recorder, "tcp://127.0.0.1:0", {})
    thread = threading.Thread(target=server.run)
    thread.start()
    client = Client(server)
    client.send(wire.frame_message(0, FRAME))
    while not recorder.asked:
        time.sleep(0.005)
    client.send(wire.frame_message(1, FRAME))
    client.ask(wire.health_message(2))
    server.stop()
    dropped = client.reply()
    assert (dropped["kind"], dropped["seq"]) == ("dropped", 1) and "stopping" in dropped["reason"]
    recorder.gate.set()
    assert client.reply()["kind"] == "fix"
    thread.join(10)
    assert not thread.is_alive()


def test_two_clients_get_their_own_replies(served):
    server, _ = served
    one, two = Client(server), Client(server, zmq.REQ)
    one.send(wire.frame_message(1, FRAME))
    two.send(wire.frame_message(2, FRAME))
    assert (two.reply()["seq"], one.reply()["seq"]) == (2, 1)


@pytest.mark.parametrize("port", ["70000", "55x", "-5", ""])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(WireError, match=rf"cannot serve at tcp://127\.0\.0\.1:{port}: a port is 0 .*to 65535"):
        Server(Recorder(), f"tcp://127.0.0.1:{port}", {})


@pytest.mark.parametrize("width, height, bytes_", [(640, 480, 16 * 3 * 640 * 480), (32, 24, 1 << 20)])
def test_a_part_may_be_as_large_as_the_cameras_frames_call_for(width, height, bytes_):
    assert wire.largest_part_bytes(width, height) == bytes_


def test_who_sends_a_larger_part_is_cut_off_and_the_others_are_served(served):
    server, recorder = served
    largest = wire.largest_part_bytes(32, 24)
    client, other = Client(server), Client(server)
    client.send(wire.frame_message(1, bytes(largest)))
    assert client.reply()["status"] == "BAD_FRAME"  # no JPEG, but taken
    client.send(wire.frame_message(2, bytes(largest + 1)))
    assert not client.socket.poll(500)
    assert other.ask(wire.frame_message(3, FRAME))["status"] == "FIX" and len(recorder.asked) == 1


def test_an_address_in_use_is_one_clear_error(served):
    with pytest.raises(WireError, match=r"cannot serve at tcp://127\.0\.0\.1:\d+: Address already in use"):
        Server(Recorder(), served[0].endpoint, {})
    with pytest.raises(WireError, match="cannot serve at nonsense"):
        Server(Recorder(), "nonsense", {})


def test_a_reply_that_is_none_is_refused():
    for parts in ([], [b"x"], [b"{}"], [b'{"nadir": 1, "kind": "song"}']):
        with pytest.raises(WireError):
            wire.parse_reply(parts)
    with pytest.raises(WireError, match="holds no fix"):
        wire.fix_of({"status": "FIX"})
    for half in (replace(FIX, sigma_m=0.0), replace(FIX, sigma_m=np.nan), replace(FIX, lat_deg=np.nan)):
        with pytest.raises(WireError, match=r"the reply holds no fix: ValueError (sigma_m|lat_deg): "):
            wire.fix_of(wire.parse_reply([wire.reply("fix", 1, "x", **wire.plain_fix(half))]))


@pytest.mark.parametrize(
    "name, value",
    [
        ("position_ecef_m", None),
        ("position_ecef_m", [1.0, 2.0]),
        ("position_ecef_m", [1.0, 2.0, float("inf")]),
        ("position_ecef_m", ["1", "2", "3"]),
        ("covariance_ecef_m2", None),
        ("covariance_ecef_m2", [1.0] * 9),
        ("covariance_ecef_m2", [[1.0, 0.0, 0.0]] * 2),
        ("covariance_ecef_m2", [[1.0, 0.0, float("nan")]] * 3),
        ("quat_ecef_from_cam_wxyz", [[0.5] * 4]),
        ("lat_deg", "12"),
        ("false_fix_probability", True),
        ("inliers", "many"),
        ("inliers", 3.5),
        ("votes", None),
        ("timestamp_ns", "now"),
        ("timings_ms", [1.0]),
        ("timings_ms", {"total": "long"}),
        ("reason", None),
    ],
)
def test_a_fix_with_a_field_of_another_kind_is_refused_by_name(name, value):
    header = wire.plain_fix(FIX)
    wire.fix_of(header)
    with pytest.raises(WireError, match=f"the reply holds no fix: .*{name}: "):
        wire.fix_of({**header, name: value})


def test_an_estimate_without_a_fix_is_refused():
    header = wire.plain_fix(no_fix(Status.DARK, "night"))
    with pytest.raises(WireError, match="lat_deg: must be null where the status is DARK"):
        wire.fix_of({**header, "lat_deg": 1.0})


def test_the_verb_serves_until_it_is_told_to_stop(pack, blue_marble, localizer):
    """As a process of its own: the answer is the one `localize` gives, and SIGTERM is a clean end."""
    from tests.look import look

    command = [sys.executable, "-m", "onboard.cli", "serve", "--pack", str(pack), "--bind", "tcp://127.0.0.1:0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert f"serving {pack} at tcp://127.0.0.1:" in line
        frame = look(blue_marble, localizer.camera, 35.0, 40.0, 700e3, 10.0)

        class At:
            endpoint = line.split(" at ")[1].strip()

        client = Client(At)
        fix = wire.fix_of(client.ask(wire.frame_message(0, frame, altitude_m=[700e3, 5e3])))
        here = localizer.localize(frame, altitude_m=(700e3, 5e3))
        assert fix and here
        np.testing.assert_array_equal(fix.position_ecef_m, here.position_ecef_m)
        np.testing.assert_array_equal(fix.covariance_ecef_m2, here.covariance_ecef_m2)
        assert (fix.inliers, fix.false_fix_probability) == (here.inliers, here.false_fix_probability)
        health = client.ask(wire.health_message(1))
        assert health["mission"] == "wide-700km" and len(health["pack"]["manifest_sha256"]) == 64
        assert {"nadir", "faiss-cpu", "python", "protocol"} <= set(health["versions"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert "stopped: 1 frames served, 0 dropped" in process.stderr.read()
    finally:
        process.kill()
        process.wait()


def test_mistakes_get_one_clear_line(pack, capsys):
    assert main(["serve", "--pack", "nowhere"]) == 2
    assert "nowhere: is no flight pack" in capsys.readouterr().err
    assert main(["serve", "--pack", str(pack), "--bind", "nonsense"]) == 2
    assert "cannot serve at nonsense" in capsys.readouterr().err


def test_without_zeromq_it_says_what_to_install(pack):
    code = (
        "import sys; sys.modules['zmq'] = None; from onboard.cli import main; "
        f"sys.exit(main(['serve', '--pack', {str(pack)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "needs the package 'zmq': pip install '.[serve]'" in done.stderr
