"""Frames sent to a target and its answers taken: as fast as it solves them, or when the orbit's clock says."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onboard import wire
from sim.errors import SimError
from sim.target import Target

# Outcomes of the way there and back, beside the statuses of onboard.Fix.
DROPPED, LOST = "DROPPED", "LOST"


@dataclass(frozen=True)
class Sent:
    """A frame to send: its index, when it is due (s after the first), its JPEG file, and what the target is told beside
    it (keys of a frame request)."""

    index: int
    due_s: float
    file: Path
    known: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came back. reply: the header of kind 'fix'; None: ``lost`` says why (DROPPED or LOST, and the reason).

    latency_ms: from the last sending to the reply, None without one; attempts: how often the frame was sent;
    instance: which start of the target answered.
    """

    index: int
    reply: wire.Header | None
    attempts: int
    latency_ms: float | None = None
    instance: str | None = None
    lost: tuple[str, str] | None = None


@dataclass(frozen=True)
class Patience:
    """timeout_s: how long a frame's answer may take; restart_s: how long a target that fell silent may be away."""

    timeout_s: float = 5.0
    restart_s: float = 60.0


def drive_fast(
    target: Target, frames: Sequence[Sent], patience: Patience, say: Callable[[str], None]
) -> Iterator[Answer]:
    """One frame at a time, the next when the answer is there. A frame without an answer is sent again once the target
    has come back; SimError if it stays away."""
    seq = 0
    for frame in frames:
        jpeg, attempts = frame.file.read_bytes(), 0
        while True:
            seq, attempts = seq + 1, attempts + 1
            sent_s = time.monotonic()
            reached = target.send(wire.frame_message(seq, jpeg, **frame.known))
            reply = _reply_to(target, seq, patience.timeout_s) if reached else None
            if reply is not None and reply["kind"] == "fix":
                latency_ms = (time.monotonic() - sent_s) * 1e3
                yield Answer(frame.index, reply, attempts, latency_ms, reply["instance"])
                break
            if reply is None:
                say(f"frame {frame.index}: no answer{'' if reached else ' (not connected)'}; waiting for the target")
                if target.health(patience.restart_s) is None:
                    raise SimError(
                        f"{target.address} has been silent for {patience.restart_s:g} s at frame {frame.index}; what "
                        "is answered is kept: start 'nadir serve' there and run the same command again"
                    )
                say(f"frame {frame.index}: the target is back; sending again")


def drive_realtime(
    target: Target, frames: Sequence[Sent], patience: Patience, say: Callable[[str], None]
) -> Iterator[Answer]:
    """Every frame when its time has come, the first at once, whether or not the one before is answered. What is not
    answered in time is lost: a stale frame is not sent again."""
    begin_s = time.monotonic()
    waiting: dict[int, tuple[Sent, float]] = {}
    due_s = [begin_s + frame.due_s - frames[0].due_s for frame in frames]
    number = 0
    while number < len(frames) or waiting:
        now_s = time.monotonic()
        if number < len(frames) and now_s >= due_s[number]:
            frame, number = frames[number], number + 1
            if target.send(wire.frame_message(number, frame.file.read_bytes(), **frame.known)):
                waiting[number] = (frame, now_s)
            else:
                say(f"frame {frame.index}: the target is not connected")
                yield Answer(frame.index, None, 1, lost=(LOST, "the target was not connected"))
            continue
        for seq in [seq for seq, (_, sent_s) in waiting.items() if now_s - sent_s > patience.timeout_s]:
            frame, _ = waiting.pop(seq)
            say(f"frame {frame.index}: no answer")
            yield Answer(frame.index, None, 1, lost=(LOST, f"no answer within {patience.timeout_s:g} s"))
        ends = [due_s[number]] if number < len(frames) else []
        ends += [sent_s + patience.timeout_s for _, sent_s in waiting.values()]
        if not ends:
            continue
        reply = target.receive(min(ends) - time.monotonic() + 1e-3)
        if reply is None or reply["seq"] not in waiting or reply["kind"] == "health":
            continue
        _require_understood(target, reply)
        frame, sent_s = waiting.pop(reply["seq"])
        if reply["kind"] == "dropped":
            yield Answer(frame.index, None, 1, None, reply["instance"], (DROPPED, reply["reason"]))
        else:
            yield Answer(frame.index, reply, 1, (time.monotonic() - sent_s) * 1e3, reply["instance"])


def _reply_to(target: Target, seq: int, timeout_s: float) -> wire.Header | None:
    """The reply with a number; None if it does not come in time. Late answers to earlier sendings are passed over."""
    end_s = time.monotonic() + timeout_s
    while (left_s := end_s - time.monotonic()) > 0:
        reply = target.receive(left_s)
        if reply is not None and reply["seq"] == seq:
            _require_understood(target, reply)
            return reply
    return None


def _require_understood(target: Target, reply: wire.Header) -> None:
    if reply["kind"] == "error":
        raise SimError(f"{target.address} does not understand the frames sent: {reply.get('reason')}")
