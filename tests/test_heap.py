"""What frames free goes back to the system."""

import subprocess
import sys

import pytest

from onboard.heap import large_buffers_apart

# As frames do it: large buffers come and go, and what stays is allocated after them.
_SCRIPT = """
import sys
import numpy as np
from onboard.heap import large_buffers_apart
from onboard.health import resident_mib

if sys.argv[1] == "apart":
    assert large_buffers_apart()
np.ones(31 << 20, np.uint8)  # freed at once: from here on glibc, left alone, keeps such buffers in its heap
before, kept = resident_mib(), []
for _ in range(5):
    large = [np.ones(24 << 20, np.uint8) for _ in range(2)]
    kept.append(np.ones(64 << 10, np.uint8))
    del large
print(resident_mib() - before)
"""


@pytest.mark.skipif(not large_buffers_apart(), reason="the C library is not glibc")
def test_large_buffers_leave_no_holes_in_the_heap():
    apart, alone = (_growth_mib(way) for way in ("apart", "alone"))
    assert apart < 4 < 16 < alone


def _growth_mib(way: str) -> float:
    ran = subprocess.run([sys.executable, "-c", _SCRIPT, way], check=True, capture_output=True, text=True)
    return float(ran.stdout)


def test_it_is_done_for_whoever_loads_a_pack():
    script = """
import onboard
from onboard.heap import large_buffers_apart
assert not large_buffers_apart.cache_info().currsize
onboard.Localizer()
assert large_buffers_apart.cache_info().currsize
"""
    subprocess.run([sys.executable, "-c", script], check=True)
