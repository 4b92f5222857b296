"""Votes of the whole Earth: every match proposes a nadir point and a heading, right ones pile up in one bin."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.landmarks import Catalogue
from onboard.matches import (
    Matches,
    View,
    local_heading_deg,
    nadir_heading_deg,
    proposed_nadir,
)

HEADING_BINS = 36
# A keypoint's orientation is good to about 10 degrees: each match votes in its own heading bin and both neighbours,
# and takes the bin's heading for its own, so that right matches agree on the place better than their orientations do.
_NEIGHBOUR_BINS = (-1, 0, 1)
# Eight cubes by three headings see much the same proposals: so many bins are looked at for each candidate wanted.
_BINS_A_CANDIDATE = 8
_MARK_BITS = 16
_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.int64)


@dataclass(frozen=True)
class Candidate:
    """A place and heading worth a look: unit vector of the nadir point, degrees, distinct spots that voted for it."""

    unit: tuple[float, float, float]
    heading_deg: float
    votes: int


def vote(matches: Matches, view: View, catalogue: Catalogue, bin_m: float, top: int) -> list[Candidate]:
    """The ``top`` candidates, most votes first, no two within ``bin_m`` of one another.

    Bins are cubes of side ``bin_m`` in Earth-centred space by HEADING_BINS headings; a proposal counts in the
    eight cubes around it. Votes are distinct spots of the frame; a candidate's place is the mean of its bin.
    """
    if len(matches) == 0:
        return []
    step = 360.0 / HEADING_BINS
    at_landmark = local_heading_deg(matches, view, catalogue)
    at_nadir = nadir_heading_deg(matches, view, catalogue, at_landmark)
    own = np.floor(at_nadir / step).astype(np.int64)
    heading = np.concatenate([(own + shift) % HEADING_BINS for shift in _NEIGHBOUR_BINS])
    spread = Matches(*(np.tile(part, len(_NEIGHBOUR_BINS)) for part in (matches.feature, matches.landmark)))
    # North turns on the way from nadir to landmark: far from the equator a bin's heading differs between the two.
    turn = np.tile(at_landmark - at_nadir, len(_NEIGHBOUR_BINS))
    nadir = proposed_nadir(spread, view, catalogue, (heading + 0.5).astype(np.float32) * step + turn)
    spot = np.unique(view.spot, return_inverse=True)[1][spread.feature]
    keys = _bin_keys(nadir, heading, bin_m)
    bins, votes = _fullest(keys, spot, _BINS_A_CANDIDATE * top)
    unit = _middles(bins, keys, nadir)
    return [
        Candidate(tuple(unit[k].tolist()), float((bins[k] % HEADING_BINS + 0.5) * step), int(votes[k]))
        for k in _apart(unit, bin_m / EARTH_RADIUS_M, top)
    ]


def _bin_keys(nadir: NDArray, heading: NDArray, bin_m: float) -> NDArray[np.int64]:
    """Keys (K, 8) of the eight bins around each proposal."""
    offset = int(EARTH_RADIUS_M / bin_m) + 2
    side = 2 * offset + 2
    corner = np.floor(nadir * (EARTH_RADIUS_M / bin_m) - 0.5).astype(np.int64) + offset
    cube = (corner @ np.array([side * side, side, 1]))[:, None] + _CORNERS @ np.array([side * side, side, 1])
    return cube * HEADING_BINS + heading[:, None]


def _fullest(
    keys: NDArray[np.int64], spot: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The keys (K, 8) with most distinct spots (K,), fullest first, and how many they have; ties in order of key."""
    spots = int(spot.max(initial=0)) + 1
    seen = np.sort((keys * spots + spot[:, None]).ravel())
    bins = seen[np.concatenate([[True], seen[1:] != seen[:-1]])] // spots
    starts = np.flatnonzero(np.concatenate([[True], bins[1:] != bins[:-1]]))
    votes = np.diff(starts, append=len(bins))
    # Sixteen bits are sorted by counting, in a tenth of the time; no frame has so many spots.
    fullest = np.argsort(-votes.clip(max=2**15 - 1).astype(np.int16), kind="stable")[:count]
    return bins[starts[fullest]], votes[fullest]


def _middles(bins: NDArray[np.int64], keys: NDArray[np.int64], nadir: NDArray[np.float32]) -> Array:
    """The mean (B, 3), of unit length, of the proposals (K, 3) in each of the bins (B,), each of which holds one at
    least."""
    rising = np.sort(bins)
    # Most keys belong to none of the bins, which a look at their last bits tells.
    marks = np.zeros(1 << _MARK_BITS, bool)
    marks[rising & (len(marks) - 1)] = True
    flat = np.flatnonzero(marks[keys.ravel() & (len(marks) - 1)])
    number = np.searchsorted(rising, keys.ravel()[flat]).clip(0, len(rising) - 1)
    held = rising[number] == keys.ravel()[flat]
    number, member = number[held], nadir[flat[held] // keys.shape[1]]
    total = np.stack([np.bincount(number, member[:, axis], len(rising)) for axis in range(3)], axis=1)
    middle = total[np.searchsorted(rising, bins)]
    return np.asarray(middle / np.linalg.norm(middle, axis=1, keepdims=True))


def _apart(unit: Array, radius_rad: float, top: int) -> list[int]:
    """The first ``top`` of the places (N, 3) that are farther than ``radius_rad`` from all before them."""
    free = np.ones(len(unit), bool)
    kept: list[int] = []
    for number in range(len(unit)):
        if free[number]:
            kept.append(number)
            if len(kept) == top:
                break
            free &= unit @ unit[number] < np.cos(radius_rad)
    return kept
