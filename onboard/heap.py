"""One heap for all threads, so that the memory of a flight process stays small and comes to rest."""

import ctypes
from functools import lru_cache

_ARENA_MAX = -8  # glibc's malloc.h: as many heaps for threads


@lru_cache(maxsize=1)
def one_heap() -> bool:
    """Have all threads of the process take memory from one heap of glibc's, for good; False where the C library is
    another.

    Left alone glibc gives every thread a heap (mallopt(3), M_ARENA_MAX), and what a frame frees in one is no use to the
    next frame in another: 94 MiB of it after 200 frames, and growing (docs/decisions.md, *Time and memory*).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none to be had without its name (Windows)
        return False
    return bool(mallopt(_ARENA_MAX, 1) == 1)
