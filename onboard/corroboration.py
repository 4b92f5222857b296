"""What landmarks recognised in a frame say together: less where they lie in a line.

A ridge, a coast or a river looks alike from one end to the other, and in a mirror, so that landmarks along it confirm
each other at a wrong place as they do at the right one. Of 1,000 mirrored views the fourteen that showed most landmarks
at a wrong place, 15 to 24, had all but five of them at most within half a patch of one line (docs/decisions.md).
"""

import numpy as np

from onboard.geodesy import Array
from onboard.patches import PATCH_PX

_LINE_PX = float(PATCH_PX)  # width of a line: landmarks within half a patch of it see it
_STEP_DEG = 2.0  # between the directions in which lines are looked for
_SHARE = 0.25  # of a landmark in the line


def corroboration(xy: Array) -> float:
    """The weight of landmarks recognised in distinct spots, pixels (K, 2) of the rectified picture: one each, but a
    quarter each for those in the line that holds most of them."""
    return len(xy) - (1 - _SHARE) * most_in_line(xy)


def most_in_line(xy: Array) -> int:
    """How many of pixels (K, 2) lie in the fullest strip _LINE_PX wide, of any direction."""
    if not len(xy):
        return 0
    direction = np.radians(np.arange(0.0, 180.0, _STEP_DEG))
    across = np.sort(xy @ np.stack([np.cos(direction), np.sin(direction)]), axis=0)
    first = np.arange(len(xy))
    return max(int((np.searchsorted(row, row + _LINE_PX, side="right") - first).max()) for row in across.T)
