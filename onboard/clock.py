"""Stage timings of one frame, and its deadline."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from reprlib import repr as _short

from onboard.fix import Status
from onboard.intake import Rejected


class Clock:
    """Stage timings of one frame, and its deadline."""

    def __init__(self, deadline_ms: float | None) -> None:
        self._start = time.perf_counter()
        self._told, self._deadline_ms = deadline_ms, deadline_ms
        if deadline_ms is not None:
            try:
                self._deadline_ms = float(deadline_ms)
            except (TypeError, ValueError, OverflowError):
                self._deadline_ms = math.nan  # refused at the first check: a clock never raises where it is made
        self.timings_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.check()
        start = time.perf_counter()
        try:
            yield
        finally:
            now = time.perf_counter()
            self.timings_ms[name] = (now - start) * 1e3
            self.timings_ms["total"] = (now - self._start) * 1e3

    def left_s(self) -> float | None:
        """What is left until the deadline; None: all the time there is. Raises Rejected as `check`."""
        if self._deadline_ms is None:
            return None
        if math.isnan(self._deadline_ms):
            raise Rejected(Status.BAD_FRAME, f"deadline_ms is {_short(self._told)}: give milliseconds, or None")
        left_ms = self._deadline_ms - (time.perf_counter() - self._start) * 1e3
        if left_ms < 0:
            raise self.late
        return left_ms / 1e3

    def check(self) -> None:
        """Raises Rejected (TIMEOUT) once the deadline has passed, (BAD_FRAME) where it is no number."""
        self.left_s()

    @property
    def late(self) -> Rejected:
        """The refusal of a frame whose deadline has passed."""
        return Rejected(Status.TIMEOUT, f"not done within {self._deadline_ms:g} ms")
