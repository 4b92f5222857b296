"""Growth: a placement that holds around one spot, fitted ring by ring to the whole frame.

EarthMatch's idea (Berton et al., CVPR Workshops 2024): each estimate re-centres the next search and pulls in more
landmarks. A placement from a few matches is good to a pixel or two near them and worse farther out, so the circle in
which landmarks are looked for grows as the fit does; where nothing more is recognised it is given up.
"""

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array
from onboard.ground_plane import Ground, as_ground
from onboard.guided import Expected, Guide
from onboard.matches import View
from onboard.placement import Placement, fit_similarity

FIRST_PX = 40.0  # radius of the first circle
# Radii, and the least share of landmarks there that is recognised: right places showed 31, 14 and 6 % and more, most
# wrong ones less (docs/decisions.md).
_CIRCLES = ((FIRST_PX, 0.25), (120.0, 0.1), (np.inf, 0.05))
_LANDMARKS = 50  # looked for in a circle, evenly spread: enough for four numbers
_FEWEST, _FEWEST_RECOGNISED = 6, 3
_SETTLED_PX = 20.0  # see `fit_similarity`
_ROBUST_PX = 1.5  # a residual at which a match counts half (Geman and McClure 1987)
_REFITS = 3


def grown(guide: Guide, view: View, placement: Placement, middle: complex) -> Placement | None:
    """The placement fitted to the whole frame, from one that holds around the ground offset ``middle``; None when too
    little is recognised on the way."""
    reach_m = float(np.abs(view.corners).max()) + abs(middle)
    for radius_px, least_share in _CIRCLES:
        radius_m = min(radius_px * view.gsd_m, reach_m)
        expected = guide.expected(view, placement, middle, radius_m)
        expected = expected[spread(expected, _LANDMARKS)]
        if len(expected) < _FEWEST:
            continue
        known, off_px, likeness = guide.located(view, expected)
        if known.sum() < max(_FEWEST_RECOGNISED, least_share * len(expected)):
            return None
        seen = expected.ground[known] + as_ground(off_px[known]) * view.gsd_m
        factor, shift = _robust(seen, expected.ground[known], likeness[known].astype(np.float64), view.gsd_m)
        placement, middle = placement.moved(factor, shift), (middle - shift) / factor
    return placement


def _robust(seen: Ground, expected: Ground, trust: Array, gsd_m: float) -> tuple[complex, complex]:
    weight = trust
    for _ in range(_REFITS):
        factor, shift = fit_similarity(seen, expected, weight, _SETTLED_PX * gsd_m)
        off = np.abs(factor * seen + shift - expected) / (_ROBUST_PX * gsd_m)
        weight = trust / (1 + off**2)
    return factor, shift


def spread(expected: Expected, count: int) -> NDArray[np.int64]:
    """Numbers of about ``count`` landmarks at most, one a square of the picture."""
    if len(expected) <= count:
        return np.arange(len(expected))
    low, high = expected.xy.min(axis=0), expected.xy.max(axis=0)
    return one_a_square(expected.xy - low, float(np.sqrt(np.prod(high - low + 1) / count)))


def one_a_square(xy: Array, side_px: float) -> NDArray[np.int64]:
    """Numbers of the first of pixels (K, 2) in each square."""
    column, row = (xy // side_px).astype(np.int64).T
    return np.sort(np.unique(row * 65536 + column, return_index=True)[1])
