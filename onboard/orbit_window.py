"""The frames that vote together for an orbit: those of the last minutes, however many a camera takes."""

from collections import deque
from itertools import pairwise

from onboard.orbit_places import FramePlaces
from onboard.orbit_vote import OrbitVote, Track

_SPAN_S = 1200.0  # a fifth of a revolution
_FRAMES = 40  # half a minute apart: what follows sooner shows the same ground again


class VoteWindow:
    """Frames in order of time, each with places, that no orbit explains yet."""

    def __init__(self, vote: OrbitVote) -> None:
        self._vote = vote
        self._frames: list[FramePlaces] = []
        self._seen_s: deque[float] = deque()  # of all frames of the span, kept or not: each was a try

    def clear(self) -> None:
        """Forget all frames."""
        self._frames.clear()
        self._seen_s.clear()

    def best_track(self, newest: FramePlaces, altitude_m: tuple[float, float]) -> Track | None:
        """`OrbitVote.best_track` of the newest frame with those before, among which it is kept from now on."""
        if not newest.places:
            return None
        self._seen_s.append(newest.time_s)
        while newest.time_s - self._seen_s[0] > _SPAN_S:
            self._seen_s.popleft()
        self._frames = [frame for frame in self._frames if newest.time_s - frame.time_s <= _SPAN_S]
        track = self._vote.best_track(newest, self._frames, altitude_m, len(self._seen_s))
        self._frames.append(newest)
        if len(self._frames) > _FRAMES:
            self._thin()
        return track

    def _thin(self) -> None:
        """Of the two frames that follow one another soonest the one goes whose best place is the commoner."""
        soonest = min(pairwise(self._frames), key=lambda pair: pair[1].time_s - pair[0].time_s)
        self._frames.remove(max(soonest, key=lambda frame: frame.places[0].rarity))
