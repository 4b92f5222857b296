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
_AGAIN_S = 0.2  # between questions to a target that is silent


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
    """timeout_s: how long an answer may take before something seems wrong; restart_s: how long the target may take from
    then on to come back, or to get done."""

    timeout_s: float = 5.0
    restart_s: float = 60.0


def drive_fast(
    target: Target, frames: Sequence[Sent], patience: Patience, say: Callable[[str], None]
) -> Iterator[Answer]:
    """One frame at a time, the next when the answer is there. A frame that the target dropped, or forgot by a restart,
    is sent again; SimError if no answer is to be had."""
    seq = 0
    for frame in frames:
        jpeg, attempts, reply = frame.file.read_bytes(), 0, None
        end_s = time.monotonic() + patience.timeout_s + patience.restart_s
        while reply is None or reply["kind"] == "dropped":
            if time.monotonic() > end_s:
                raise SimError(
                    f"{target.address} has given no answer for {patience.timeout_s + patience.restart_s:g} s at frame "
                    f"{frame.index}; what is answered is kept: start 'nadir serve' there and run the same command again"
                )
            seq += 1
            sent_s = time.monotonic()
            if not target.send(wire.frame_message(seq, jpeg, **frame.known)):
                time.sleep(_AGAIN_S)
                continue
            attempts += 1
            reply = _reply_to(target, seq, sent_s + patience.timeout_s, end_s)
            if reply is None or reply["kind"] == "dropped":
                say(f"frame {frame.index}: {'no answer' if reply is None else reply['reason']}; sending it again")
        yield Answer(frame.index, reply, attempts, (time.monotonic() - sent_s) * 1e3, reply["instance"])


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


def _reply_to(target: Target, seq: int, patient_s: float, end_s: float) -> wire.Header | None:
    """The reply to a frame; None if the target has lost it. Late replies to earlier sendings are passed over.

    From ``patient_s`` on (monotonic seconds) the target is asked for its health, until ``end_s``: one that works on
    something is waited for, one with nothing to do has been restarted, or never got the frame.
    """
    while (now_s := time.monotonic()) < end_s:
        if now_s >= patient_s:
            target.send(wire.health_message(0))
        reply = target.receive(max(patient_s - now_s, _AGAIN_S))
        if reply is None:
            continue
        if reply["kind"] == "health":
            if reply["received"] == reply["served"] + reply["dropped"]:
                return None
            patient_s = time.monotonic() + _AGAIN_S
        elif reply["seq"] == seq:
            _require_understood(target, reply)
            return reply
    return None


def _require_understood(target: Target, reply: wire.Header) -> None:
    if reply["kind"] == "error":
        raise SimError(f"{target.address} does not understand the frames sent: {reply.get('reason')}")
