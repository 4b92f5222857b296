"""How far a campaign is and when it will end: a bar on a terminal, elsewhere a line now and then."""

import sys
import time
from io import StringIO
from types import TracebackType

from tqdm import tqdm

LINE_EVERY_S = 120.0


class Progress:
    """total: of frames, or of what ``unit`` names; done: of them before this run."""

    def __init__(self, total: int, done: int, unit: str = "frame") -> None:
        self._terminal = sys.stderr.isatty()
        self._bar = tqdm(
            desc="fly", total=total, initial=done, unit=unit, smoothing=0.05,
            file=sys.stderr if self._terminal else StringIO(), bar_format=None if self._terminal else "{desc}: {n_fmt} "
            "of {total_fmt} {unit}s, {elapsed} gone, {remaining} to go, {rate_fmt}{postfix}",
        )  # fmt: skip
        self._told_s = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()

    def update(self, **counts: int) -> None:
        """One more; ``counts`` are shown beside."""
        self._bar.set_postfix(refresh=False, **counts)
        self._bar.update()
        if not self._terminal and time.monotonic() - self._told_s > LINE_EVERY_S:
            self._told_s = time.monotonic()
            print(self._bar, file=sys.stderr, flush=True)
