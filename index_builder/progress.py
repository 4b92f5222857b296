"""How far a build is and when each of its stages will end: bars on a terminal, elsewhere a line now and then."""

import sys
import time
from io import StringIO

from tqdm import tqdm

LINE_EVERY_S = 120.0
_LINE = "{desc}: {n_fmt} of {total_fmt}, {elapsed} gone, {remaining} to go"


class Stages:
    """Told stage, done and total, shows the stage; a stage ends where the next begins or at `close`."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._stage, self._told_s = "", 0.0
        self._bar: tqdm | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        if self._bar is None or stage != self._stage:
            self.close()
            self._stage, self._told_s = stage, time.monotonic()
            shown = (sys.stderr, None) if self._terminal else (StringIO(), _LINE)
            self._bar = tqdm(total=total, desc=stage, unit="step", file=shown[0], bar_format=shown[1])
        self._bar.update(done - self._bar.n)
        if not self._terminal and time.monotonic() - self._told_s > LINE_EVERY_S:
            self._told_s = time.monotonic()
            print(self._bar, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
