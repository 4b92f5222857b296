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
        """Raises Rejected (TIMEOUT) once the deadline has passed."""
        if self._deadline_ms is not None and (time.perf_counter() - self._start) * 1e3 > self._deadline_ms:
            raise Rejected(Status.TIMEOUT, f"not done within {self._deadline_ms:g} ms")
