"""Frames of one pass in, orbit state out: search, vote, filter, coast, recover."""

import numbers
import operator
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from onboard.acceptance import Acceptance
from onboard.errors import INTERNAL_ERROR, UsageError
from onboard.expectation import Checker, Expectation
from onboard.fix import Fix, Status
from onboard.geodesy import EARTH_RADIUS_M, horizontal_covariance
from onboard.hypothesis import Hypothesis, Sighting
from onboard.knowledge import MOST_HEADING_DEG
from onboard.landmarks import Catalogue
from onboard.mission import Mission
from onboard.orbit_filter import GATE_2
from onboard.orbit_measurement import orbit_of_one, orbit_through
from onboard.orbit_places import FramePlaces, Place, heading_of, places_of, turn_deg
from onboard.orbit_state import OrbitState, TrackStatus, searching
from onboard.orbit_vote import HEADING_GATE_DEG, OrbitVote, map_area_rad2
from onboard.orbit_window import VoteWindow
from onboard.pose import PoseKnowledge
from onboard.tracked_orbit import TrackedOrbit, track_deg

_OUTVOTED_BY = 3  # so many frames in order among themselves, all before the newest, are believed rather than that


class Sighter(Checker, Protocol):
    """What a tracker asks of the runtime: `onboard.Localizer`."""

    mission: Mission
    agreement_acceptance: Acceptance
    catalogue: Catalogue

    def sight(
        self,
        frame: Any,
        *,
        timestamp_ns: int | None = None,
        altitude_m: tuple[float, float] | None = None,
        mount_heading_deg: float | None = None,
        deadline_ms: float | None = None,
    ) -> Sighting: ...


class Tracker:
    """Follows one satellite through the frames of a pass, a revolution, or days. Not for several threads.

    The spacecraft's clock must run evenly; what it is set to does not matter. The camera must be held as its mission
    mounts it, and alike along the track (heading less direction of flight constant within HEADING_GATE_DEG). It may
    take frames as often as it likes: what shows the same ground is not taken for news.

    mount_heading_deg: azimuth of the image's up direction less that of flight, if it is known to a few degrees: then
    places that fit it are looked at first, and the first fix is an orbit, where otherwise it takes two frames. Raises
    UsageError when it is no number.
    """

    def __init__(self, localizer: Sighter, mount_heading_deg: float | None = None) -> None:
        if mount_heading_deg is not None and not (
            isinstance(mount_heading_deg, numbers.Real) and abs(mount_heading_deg) <= MOST_HEADING_DEG
        ):
            raise UsageError(f"mount_heading_deg is {mount_heading_deg!r}: give degrees, or None where nobody knows")
        self._localizer, self._mount_deg = localizer, mount_heading_deg
        mission, acceptance, landmarks = localizer.mission, localizer.agreement_acceptance, localizer.catalogue.unit
        self._limit = acceptance.limit
        self._vote = OrbitVote(map_area_rad2(landmarks), mission.orbit, acceptance)
        self._window = VoteWindow(self._vote)
        self._expectation = Expectation(localizer, landmarks, acceptance.limit)
        self._forget()

    def update(
        self,
        frame: Any,
        timestamp_ns: int,
        altitude_m: tuple[float, float] | None = None,
        deadline_ms: float | None = None,
    ) -> OrbitState:
        """The orbit after a frame: uint8, H×W×3 RGB or H×W, taken at ``timestamp_ns``.

        altitude_m: height above the ellipsoid and its sigma, the mission's when None. deadline_ms: of the frame's own
        localization; a late frame says nothing. Never raises. A frame that is not later than the one before is not
        used: the answer is the state as it was, and the reason says so; but the third of three in order among
        themselves is, and what they contradict is forgotten, one frame or all (docs/frames.md).
        """
        try:
            now = _nanoseconds(timestamp_ns)
        except UsageError as error:
            return self._unchanged(f"{error}; frame not used")
        try:
            refusal = self._refuse(now)
            return self._unchanged(refusal) if refusal else self._updated(frame, now, altitude_m, deadline_ms)
        except Exception as error:  # flight software must get an answer whatever a frame holds
            return self._failed(f"{INTERNAL_ERROR}: {type(error).__name__}: {error}", now)

    @property
    def orbit(self) -> TrackedOrbit | None:
        """The orbit at the newest frame; None while none is known."""
        return self._orbit

    def state_at(self, timestamp_ns: int) -> OrbitState:
        """The orbit predicted for another time, before or after the newest frame; SEARCHING when none is known, or so
        far off that the prediction says nothing. Never raises."""
        try:
            now = _nanoseconds(timestamp_ns)
        except UsageError as error:
            return searching(str(error), None)
        if self._orbit is None:
            return searching("no orbit is known", now)
        time_s = self._seconds(now)
        gap_s = abs(time_s - self._orbit.estimate.time_s)
        there = self._orbit.at(time_s)
        if there is None:
            return searching(f"{gap_s:.0f} s from the newest frame, the prediction says nothing", now)
        return there.state(TrackStatus.COASTING, f"predicted over {gap_s:.0f} s", now)

    def _forget(self) -> None:
        self._orbit: TrackedOrbit | None = None
        self._epoch_ns: int | None = None
        self._newest_ns: int | None = None
        self._before: tuple[int, TrackedOrbit | None, OrbitState] | None = None  # what was known a frame ago
        self._window.clear()
        self._refused: list[int] = []
        self._erred = False
        self._last = searching("no frame yet", None)

    def _refuse(self, now: int) -> str:
        """Why a time cannot be used; empty when it can."""
        if self._newest_ns is None or now > self._newest_ns:
            self._refused = []
            return ""
        if now == self._newest_ns:
            return "a frame of this time was there already; not used"
        in_order = not self._refused or now > self._refused[-1]
        self._refused = [*self._refused, now] if in_order else [now]
        if len(self._refused) < _OUTVOTED_BY:
            late_s = (self._newest_ns - now) / 1e9
            return f"out of order: {late_s:.3f} s before the newest frame; not used"
        if self._before is not None and self._before[0] < self._refused[0]:  # the newest alone was stamped wrong
            self._newest_ns, self._orbit, self._last = self._before
            self._window.clear()
            self._refused = []
        else:  # the clock was set back
            self._forget()
        return ""

    def _failed(self, reason: str, now: int) -> OrbitState:
        """One frame that cannot be looked at costs nothing that is known; of two in a row that may be the cause."""
        if self._erred:
            self._forget()
        self._erred = True
        if self._orbit is None:
            self._last = searching(reason, now)
            return deepcopy(self._last)
        return self._unchanged(reason)

    def _unchanged(self, reason: str) -> OrbitState:
        status = TrackStatus.COASTING if self._orbit else TrackStatus.SEARCHING
        return deepcopy(replace(self._last, status=status, reason=reason, fix=None))

    def _updated(
        self, frame: Any, now: int, altitude_m: tuple[float, float] | None, deadline_ms: float | None
    ) -> OrbitState:
        if self._epoch_ns is None:
            self._epoch_ns = now
        if self._newest_ns is not None:
            self._before = self._newest_ns, self._orbit, self._last
        self._newest_ns = now
        time_s = self._seconds(now)
        sighting = self._localizer.sight(
            frame, timestamp_ns=now, altitude_m=altitude_m, mount_heading_deg=self._mount_deg, deadline_ms=deadline_ms
        )
        lost = self._carry_on(time_s)
        self._expectation.learn(sighting, None if self._orbit is None else self._orbit.unit)
        fix = sighting.fix.status is Status.FIX
        places = places_of(sighting.places, self._localizer.agreement_acceptance, fix)

        used = "" if self._orbit is None else self._follow(self._orbit, sighting, places)
        if not used:
            used = self._find(FramePlaces(time_s, places), sighting)
        if self._orbit is None:
            seen = f"{sighting.fix.status.value}: {sighting.fix.reason}".rstrip(": ")
            self._last = searching(f"{lost or 'no orbit yet'}; {seen}", now, sighting.fix)
        else:
            status = TrackStatus.TRACKING if used else TrackStatus.COASTING
            self._last = self._orbit.state(status, used or self._why_not(sighting), now, sighting.fix)
        self._erred = False
        return deepcopy(self._last)  # what the caller does to an answer stays with the caller

    def _carry_on(self, time_s: float) -> str:
        """Predict the orbit to the new frame; why it was dropped, when it was."""
        if self._orbit is None:
            return ""
        gap_s = time_s - self._orbit.used.time_s
        self._orbit = self._orbit.at(time_s)
        if self._orbit is not None:
            return ""
        self._window.clear()
        return f"lost: after {gap_s:.0f} s without a frame that fits, the prediction says nothing"

    def _follow(self, orbit: TrackedOrbit, sighting: Sighting, places: Sequence[Place]) -> str:
        """Use the frame if it shows the predicted place; how it did, empty if it did not."""
        known = sighting.known
        if known is None:
            return ""  # not judged
        shown, how = self._shown(orbit, known, sighting, places)
        if shown is None:
            return ""
        self._orbit = orbit.using(shown, known)
        self._window.clear()
        return how

    def _shown(
        self, orbit: TrackedOrbit, known: PoseKnowledge, sighting: Sighting, places: Sequence[Place]
    ) -> tuple[Hypothesis | None, str]:
        """What a frame shows within the gate of where the orbit has it, None if nothing, and how."""

        def within(found: Hypothesis | None) -> Hypothesis | None:
            return found if found is not None and orbit.explains(found, known) else None

        if sighting.fix.status is Status.FIX:
            return within(places[0].hypothesis), "a fix of its own"
        # A place that the whole Earth voted for, where one place in so many was expected.
        position, spread = orbit.estimate.state[:3], orbit.estimate.covariance[:3, :3]
        expected_deg = orbit.heading_deg
        for place in places:
            if within(place.hypothesis) and turn_deg(place.heading_deg, expected_deg) < HEADING_GATE_DEG:
                seen = horizontal_covariance(position, spread) + place.sigma_m**2 * np.eye(2)
                gate_rad2 = np.pi * GATE_2 * float(np.sqrt(np.linalg.det(seen))) / EARTH_RADIUS_M**2
                if place.rarity * self._vote.share_of_map(gate_rad2) <= self._limit:
                    return place.hypothesis, "one of its places lies where it was expected"
        best = within(self._expectation.look(sighting, position, spread, expected_deg))
        if best is not None and turn_deg(heading_of(best), expected_deg) > HEADING_GATE_DEG:
            best = None
        return best, "recognised where it was expected"

    def _find(self, newest: FramePlaces, sighting: Sighting) -> str:
        """Look for an orbit among the frames that no orbit explains; empty when there is none to believe.

        Against an orbit that is known only fixes speak, two or more of them: a few weak frames do not unseat it.
        """
        if self._orbit is not None and sighting.fix.status is not Status.FIX:
            return ""
        if self._orbit is not None:
            newest = FramePlaces(newest.time_s, newest.places[:1])
        known = sighting.known
        if known is None:
            return ""
        track = self._window.best_track(newest, (known.altitude_m, known.altitude_sigma_m))
        if track is not None and track.chance <= self._limit:
            estimate = orbit_through(track, known, self._localizer.mission.orbit)
            if estimate is not None:
                again = "found again" if self._orbit is not None else "found"
                founders_s = tuple(time_s for time_s, _ in track.members)
                frames = len(founders_s)
                self._orbit = TrackedOrbit(estimate, float(track.mount_deg), frames, founders_s, estimate, track.chance)
                self._window.clear()
                return f"orbit {again} by {frames} frames together"
        if self._orbit is None and self._mount_deg is not None and sighting.fix.status is Status.FIX:
            return self._begin(newest, sighting.fix, known, self._mount_deg)
        return ""

    def _begin(self, newest: FramePlaces, fix: Fix, known: PoseKnowledge, mount_deg: float) -> str:
        """Begin an orbit with one fix; empty where it contradicts what is known. The window keeps the frame: with the
        next fix it can vote for another orbit, should the mount have been told wrongly."""
        place = newest.places[0]
        estimate = orbit_of_one(newest.time_s, place, mount_deg, known, self._localizer.mission.orbit)
        if estimate is None:
            return ""
        seen_deg = (place.heading_deg - track_deg(estimate)) % 360
        chance, now_s = fix.false_fix_probability, newest.time_s
        self._orbit = TrackedOrbit(estimate, seen_deg, 1, (now_s,), estimate, chance)
        return "orbit begun with one fix and the camera's heading along it"

    def _why_not(self, sighting: Sighting) -> str:
        fix = sighting.fix
        if fix.status is Status.FIX:
            return "its fix lies outside the gate; not used"
        return f"{fix.status.value}: {fix.reason}"

    def _seconds(self, timestamp_ns: int) -> float:
        """Since the first frame: differences of integers first, so that no nanosecond of a long epoch is lost."""
        assert self._epoch_ns is not None
        return (timestamp_ns - self._epoch_ns) / 1e9


def _nanoseconds(timestamp_ns: Any) -> int:
    """A time as it may be reckoned with; raises UsageError for any other."""
    try:
        now = operator.index(timestamp_ns)
    except TypeError:
        kind = type(timestamp_ns).__name__
        raise UsageError(f"timestamp_ns is no integer of nanoseconds but {kind}") from None
    if now.bit_length() > 63:  # seconds of longer ones are no floats
        raise UsageError("timestamp_ns is no integer of 64 bits")
    return now
