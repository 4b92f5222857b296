"""Stage timings of one frame, and its deadline."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from onboard.fix import Status
from onboard.intake import Rejected


class Clock:
    """Stage timings of one frame, and its deadline."""

    def __init__(self, deadline_ms: float | None) -> None:
        self._start = time.perf_counter()
        self._deadline_ms = deadline_ms
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

    def check(self) -> None:
        """Raises Rejected (TIMEOUT) once the deadline has passed, (BAD_FRAME) where it is no number."""
        if self._deadline_ms is None:
            return
        try:
            left_ms = float(self._deadline_ms) - (time.perf_counter() - self._start) * 1e3
        except (TypeError, ValueError):
            left_ms = float("nan")
        if left_ms != left_ms:
            raise Rejected(Status.BAD_FRAME, f"deadline_ms is {self._deadline_ms!r}: give milliseconds, or None")
        if left_ms < 0:
            raise Rejected(Status.TIMEOUT, f"not done within {self._deadline_ms:g} ms")
