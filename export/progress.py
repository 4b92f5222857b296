"""How far a stage is and when it will end: a bar on a terminal, elsewhere a line now and then."""

import sys
from typing import Any

from tqdm import tqdm

LINE_EVERY_S = 120.0


class Bar(tqdm):
    """tqdm, that writes whole lines, seldom and none at the start, where nobody watches."""

    def __init__(self, stage: str, total: int, initial: int = 0, shown: bool = True) -> None:
        self._watched = sys.stderr.isatty()
        pace: dict[str, Any] = {} if self._watched else {
            "mininterval": LINE_EVERY_S, "maxinterval": LINE_EVERY_S, "delay": LINE_EVERY_S, "leave": False,
        }  # fmt: skip
        super().__init__(total=total, desc=stage, initial=initial, disable=not shown, **pace)

    def display(self, *where: Any, **how: Any) -> bool | None:
        if self._watched:
            return super().display(*where, **how)
        if self.n < self.total:
            print(self, file=sys.stderr, flush=True)
        return True

    def told(self, done: int, total: int) -> None:
        """So much is done, of so much."""
        self.total = total
        self.update(done - self.n)
