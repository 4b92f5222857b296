"""Frames of a pass looked back upon: where the satellite was at each of them, by all of them."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from onboard.errors import UsageError
from onboard.orbit_smoother import smoothed
from onboard.orbit_state import OrbitState, TrackStatus, searching
from onboard.tracked_orbit import TrackedOrbit
from onboard.tracker import Tracker

_SAME_S = 1e-5  # a time of nanoseconds reckoned on two ways


@dataclass(frozen=True, eq=False)
class Look:
    """A frame's time, what a tracker said after it, and the orbit that it held then, None while it searched."""

    timestamp_ns: int
    state: OrbitState
    orbit: TrackedOrbit | None

    @classmethod
    def of(cls, tracker: Tracker, frame: Any, timestamp_ns: int, altitude_m: tuple[float, float] | None) -> "Look":
        """Shows a tracker the next frame."""
        state = tracker.update(frame, timestamp_ns, altitude_m)
        return cls(timestamp_ns, state, tracker.orbit)

    @property
    def alone(self) -> str:
        """What the frame said by itself."""
        fix = self.state.fix
        return self.state.reason if fix is None else f"{fix.status.value}: {fix.reason}".rstrip(": ")


def whole_pass(
    tracker: Tracker, frames: Iterable[tuple[Any, int]], altitude_m: tuple[float, float] | None = None
) -> list[OrbitState]:
    """The states at the frames of a pass, each by all of them, as `looking_back` has them. frames: with their times in
    nanoseconds, in order, and ``altitude_m``, as a new ``tracker`` takes them. Raises UsageError where a frame is not
    later than the one before."""
    looks: list[Look] = []
    for frame, timestamp_ns in frames:
        if looks and timestamp_ns <= looks[-1].timestamp_ns:
            raise UsageError(
                f"frame {len(looks)} of a pass is not later than the one before: put them in order of time"
            )
        looks.append(Look.of(tracker, frame, timestamp_ns, altitude_m))
    return looking_back(looks)


def looking_back(looks: Sequence[Look]) -> list[OrbitState]:
    """The states at frames in order of time, each by all frames that the same orbit explains; TRACKING where the frame
    itself was used. Up to a day before an orbit was found it is predicted backwards. Where fixes contradicted an orbit
    and another was believed from then on, nobody knows which was right, and the frames of the first have none."""
    answers: list[OrbitState] = []
    steps: list[_Step] = []
    another: Look | None = None  # the first on another orbit, straight after
    orbits = [list(group) for _, group in groupby(looks, key=lambda look: look.orbit and look.orbit.founders_s)]
    for group in reversed(orbits):
        held = group[0].orbit is not None
        contradicted = another is not None and _holds(group, another.timestamp_ns)
        if held and not contradicted:
            steps = _steps(group)
        answers += [_state(steps, look, contradicted) for look in reversed(group)]
        if contradicted:
            steps = []
        another = group[0] if held else None
    return answers[::-1]


@dataclass(frozen=True, eq=False)
class _Step:
    """An orbit at the time of a frame."""

    timestamp_ns: int
    orbit: TrackedOrbit

    def at(self, timestamp_ns: int) -> TrackedOrbit | None:
        """The orbit predicted for another time; None where that says nothing."""
        return self.orbit.at(self.orbit.estimate.time_s + (timestamp_ns - self.timestamp_ns) / 1e9)


def _holds(looks: Sequence[Look], timestamp_ns: int) -> bool:
    """Whether the orbit that frames held last, if they held one, still says something at a later time. It is of the
    first frame that held it so: what a tracker could not look at left it as it was."""
    orbit = looks[-1].orbit
    if orbit is None:
        return False
    first = next(look for look in looks if look.orbit is orbit)
    return _Step(first.timestamp_ns, orbit).at(timestamp_ns) is not None


def _steps(looks: Sequence[Look]) -> list[_Step]:
    """One orbit at the frames that held it, smoothed; without those that a tracker refused, which left it as it was."""
    held: list[_Step] = []
    for look in looks:
        if look.orbit is not None and not (held and held[-1].orbit is look.orbit):
            held.append(_Step(look.timestamp_ns, look.orbit))
    known = smoothed([step.orbit.estimate for step in held], [step.orbit.measurement for step in held])
    frames_used = held[-1].orbit.frames_used
    return [
        _Step(step.timestamp_ns, replace(step.orbit, estimate=estimate, frames_used=frames_used))
        for step, estimate in zip(held, known, strict=True)
    ]


def _state(steps: Sequence[_Step], look: Look, contradicted: bool) -> OrbitState:
    """The state at a frame, predicted from the step nearest to it; contradicted: the tracker held another orbit."""
    doubt = searching("on an orbit that later fixes contradicted", look.timestamp_ns, look.state.fix)
    if not steps:
        return doubt if contradicted else look.state
    after = bisect_left(steps, look.timestamp_ns, key=lambda step: step.timestamp_ns)
    near = min(steps[max(0, after - 1) : after + 1], key=lambda step: abs(step.timestamp_ns - look.timestamp_ns))
    there = near.at(look.timestamp_ns)
    if there is None:
        return doubt if contradicted else look.state
    since_s = there.estimate.time_s - np.array(there.founders_s)
    if contradicted and since_s[0] < -_SAME_S:
        return doubt
    status, reason = TrackStatus.COASTING, f"predicted; {look.alone}"
    if len(since_s) > 1 and (abs(since_s) < _SAME_S).any():
        status, reason = TrackStatus.TRACKING, f"orbit found by {len(since_s)} frames together"
    elif look.state.status is TrackStatus.TRACKING and not contradicted:
        status, reason = TrackStatus.TRACKING, look.state.reason
    return there.state(status, reason, look.timestamp_ns, look.state.fix)
