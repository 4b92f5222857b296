"""What frames have freed goes back to the system, so that the memory of a flight process comes to rest."""

import ctypes
from functools import lru_cache

# Keys of mallopt, from glibc's malloc.h: what is this large gets pages of its own; as many heaps for threads.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
_LARGE = 16 << 20


@lru_cache(maxsize=1)
def large_buffers_apart() -> bool:
    """Have glibc give buffers of 16 MiB and more pages of their own, returned when freed, and all threads one heap, for
    the whole process and for good; False where the C library is another.

    Left alone glibc raises that size to the largest buffer ever freed (mallopt(3), M_MMAP_THRESHOLD), so that pictures
    and what networks set aside lie in the heaps, between what stays: 94 MiB of holes after 200 frames, and growing
    (docs/decisions.md, *Time and memory*).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc; no libraries to name without a name on Windows
        return False
    return all(mallopt(key, value) == 1 for key, value in ((_MMAP_THRESHOLD, _LARGE), (_ARENA_MAX, 1)))
