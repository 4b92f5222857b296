"""NumPy's BLAS held to one thread while frames are looked at.

More of them wait for one another at every product, and keep the cores from what comes between (docs/decisions.md). The
limit is the process's, so that whoever holds it shares it: the first to come sets it, the last to go lifts it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


class _Limit:
    def __init__(self) -> None:
        self._pools = ThreadpoolController().select(threading_layer="pthreads")  # OpenMP's, which are faiss's, stay
        self._lock, self._holders = threading.Lock(), 0

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            if not self._holders:
                self._limiter = self._pools.limit(limits=1)
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    self._limiter.restore_original_limits()


_making = threading.Lock()
_limit = lru_cache(maxsize=1)(_Limit)


def one_blas_thread() -> _Limit:
    """The process's one limit."""
    with _making:  # a cache does not keep two threads from making one each
        return _limit()
