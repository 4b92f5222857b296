"""The runtime behind a ZeroMQ socket: frames in, fixes out, health on request (the protocol: docs/hil.md).

One thread talks, one works. The talker alone touches the queue, so that there is nothing to lock: it hands the worker
one frame at a time and gets the reply back over an in-process socket.
"""

import math
import queue
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import zmq

from onboard import wire
from onboard.camera import Camera
from onboard.errors import INTERNAL_ERROR, WireError
from onboard.fix import Fix, Status, no_fix
from onboard.health import Health

# Frames that may wait while one is solved; an older one is worth less than the newest.
QUEUE = 2
_POLL_MS = 200
_REASON_CHARS = 500  # a complaint quotes what it complains of
_WORKER = "inproc://worker"


class FrameLocalizer(Protocol):
    """What is served: `onboard.Localizer`."""

    @property
    def camera(self) -> Camera: ...

    @property
    def localize(self) -> Callable[..., Fix]: ...


@dataclass(frozen=True, eq=False)
class _Job:
    """A frame waiting: where its reply goes, and when (monotonic seconds) it came."""

    envelope: list[bytes]
    request: wire.Request
    arrived_s: float


class Server:
    """Serves a localizer at ``bind`` (such as tcp://127.0.0.1:5555; port 0: any free one).

    about: what health replies tell beside `Health`. Raises WireError if the address cannot be had.
    """

    def __init__(self, localizer: FrameLocalizer, bind: str, about: Mapping[str, Any]) -> None:
        _require_port(bind)
        self._localizer, self._about = localizer, about
        self.instance = secrets.token_hex(8)
        self.health = Health()
        self._waiting: deque[_Job] = deque()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._busy = False
        self._stopping = False
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 1000)
        # What senders may put into memory: libzmq cuts off who sends a larger part, and takes no more from who has so
        # many messages waiting. It knows no limit to the parts of one message (docs/hil.md).
        self._largest_bytes = wire.largest_part_bytes(localizer.camera.width, localizer.camera.height)
        self._socket.setsockopt(zmq.MAXMSGSIZE, self._largest_bytes)
        self._socket.setsockopt(zmq.RCVHWM, QUEUE)
        try:
            self._socket.bind(bind)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise WireError(f"cannot serve at {bind}: {error}; name another address with --bind") from error
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def stop(self) -> None:
        """Ask `run` to end; safe from a signal handler or another thread."""
        self._stopping = True

    def run(self) -> None:
        """Serve until `stop`: the frame being solved is still answered, those waiting are told they are dropped."""
        done = self._context.socket(zmq.PAIR)
        done.bind(_WORKER)
        worker = threading.Thread(target=self._work, name="localize", daemon=True)
        worker.start()
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(done, zmq.POLLIN)
        try:
            while not self._stopping:
                events = dict(poller.poll(_POLL_MS))
                if done in events:
                    self._finish(done.recv_multipart())
                if self._socket in events:
                    self._receive(self._socket.recv_multipart())
                self._hand_over()
            while self._waiting:
                self._drop(self._waiting.popleft(), "the server is stopping")
            if self._busy:
                self._finish(done.recv_multipart())
        finally:
            self._jobs.put(None)
            worker.join()
            done.close(linger=0)
            self._socket.close()
            self._context.term()

    def _receive(self, parts: list[bytes]) -> None:
        # A REQ socket puts an empty part between its address and the message.
        start = 2 if len(parts) > 1 and parts[1] == b"" else 1
        envelope, message = parts[:start], parts[start:]
        try:
            request = wire.parse_request(message)
        except WireError as error:
            self.health.malformed += 1
            self._send(envelope, wire.reply("error", error.seq, self.instance, reason=str(error)[:_REASON_CHARS]))
            return
        if request.kind == "health":
            told = {**self._about, **self.health.as_dict(), "waiting": len(self._waiting)}
            self._send(envelope, wire.reply("health", request.seq, self.instance, **told))
            return
        self.health.received += 1
        self._waiting.append(_Job(envelope, request, time.monotonic()))
        if len(self._waiting) > QUEUE:
            self._drop(self._waiting.popleft(), f"newer frames came while {QUEUE} were waiting")

    def _hand_over(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            self._jobs.put(self._waiting.popleft())

    def _drop(self, job: _Job, reason: str) -> None:
        self.health.dropped += 1
        content = {"reason": reason, "dropped": self.health.dropped}
        self._send(job.envelope, wire.reply("dropped", job.request.seq, self.instance, **content))

    def _finish(self, parts: list[bytes]) -> None:
        """Pass the worker's reply on: status, time served, envelope, reply."""
        status, served_ms, *message = parts
        self._busy = False
        self.health.count(status.decode(), float(served_ms))
        self._send(message[:-1], message[-1])

    def _send(self, envelope: list[bytes], header: bytes) -> None:
        # A sender that has gone, or that reads nothing, loses its replies; it must not hold up the others.
        self._socket.send_multipart([*envelope, header])

    def _work(self) -> None:
        """The worker: solves one job after the other."""
        done = self._context.socket(zmq.PAIR)
        done.connect(_WORKER)
        while (job := self._jobs.get()) is not None:
            waited_ms = _since_ms(job.arrived_s)
            try:
                fix = self._solve(job, waited_ms)
            except Exception as error:  # a worker that ends answers no more frames
                fix = no_fix(Status.BAD_FRAME, f"{INTERNAL_ERROR}: {type(error).__name__}: {error}")
            served_ms = _since_ms(job.arrived_s)
            times = {"waited_ms": round(waited_ms, 3), "served_ms": round(served_ms, 3), "dropped": self.health.dropped}
            header = wire.reply("fix", job.request.seq, self.instance, **wire.plain_fix(fix), **times)
            done.send_multipart([fix.status.value.encode(), str(served_ms).encode(), *job.envelope, header])
        done.close(linger=0)

    def _solve(self, job: _Job, waited_ms: float) -> Fix:
        request, timestamp_ns = job.request, job.request.knowledge.get("timestamp_ns")
        deadline_ms = math.inf if request.deadline_ms is None else request.deadline_ms
        if waited_ms >= deadline_ms:
            reason = f"its {deadline_ms:g} ms were over after {waited_ms:.0f} ms in the queue"
            return no_fix(Status.TIMEOUT, reason, timestamp_ns=timestamp_ns)
        try:
            frame = request.frame(self._largest_bytes)
        except WireError as error:
            return no_fix(Status.BAD_FRAME, str(error), timestamp_ns=timestamp_ns)
        left_ms = None if request.deadline_ms is None else max(0.0, deadline_ms - _since_ms(job.arrived_s))
        fix = self._localizer.localize(frame, deadline_ms=left_ms, **request.knowledge)
        if fix.status is Status.TIMEOUT:  # the localizer knows no more than what was left
            fix = replace(fix, reason=f"not done within {deadline_ms:g} ms, {waited_ms:.0f} ms of them in the queue")
        return fix


def _require_port(bind: str) -> None:
    """libzmq takes any number modulo 65536, and 55x as 55."""
    port = bind.rpartition(":")[2]
    if bind.startswith("tcp://") and port != "*" and not (port.isdecimal() and int(port) <= 65_535):
        raise WireError(f"cannot serve at {bind}: a port is 0 (any free one) to 65535; name another with --bind")


def _since_ms(moment_s: float) -> float:
    return (time.monotonic() - moment_s) * 1e3
