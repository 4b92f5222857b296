"""What one thread frees serves the others."""

import os
import subprocess
import sys

import pytest

from onboard.heap import one_heap

# Threads that live at once, each of which takes 20 MiB and gives them back before the next one does.
_SCRIPT = """
import sys
import threading
import numpy as np
from onboard.heap import one_heap
from onboard.health import resident_mib

if sys.argv[1] == "one":
    assert one_heap()
np.ones(31 << 20, np.uint8)  # freed at once: from here on glibc keeps buffers as large as that in its heaps
turn, over = threading.Lock(), threading.Barrier(7)

def work():
    with turn:
        parts = [np.ones(1 << 20, np.uint8) for _ in range(20)]
        del parts
    over.wait()

before = resident_mib()
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads:
    thread.start()
over.wait()
print(resident_mib() - before)
"""


@pytest.mark.skipif(not one_heap(), reason="the C library is not glibc")
def test_threads_share_one_heap() -> None:
    one, many = (_growth_mib(way) for way in ("one", "many"))
    assert one < 40 < 80 < many


def _growth_mib(way: str) -> float:
    # Dask tells the processes that it starts in how glibc is to take memory.
    untold = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    ran = subprocess.run([sys.executable, "-c", _SCRIPT, way], check=True, capture_output=True, text=True, env=untold)
    return float(ran.stdout)


def test_it_is_so_for_whoever_loads_a_pack() -> None:
    script = """
import onboard
from onboard.heap import one_heap
assert not one_heap.cache_info().currsize
onboard.Localizer()
assert one_heap.cache_info().currsize
"""
    subprocess.run([sys.executable, "-c", script], check=True)
