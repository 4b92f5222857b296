"""Votes of the whole Earth: every match proposes a nadir point and a heading, right ones pile up in one bin."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M
from onboard.landmarks import Catalogue
from onboard.matches import (
    Matches,
    View,
    local_heading_deg,
    nadir_heading_deg,
    proposed_nadir,
    scale_agrees,
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
    """A place and heading worth verifying: unit vector of the nadir point, degrees, distinct witnesses."""

    unit: tuple[float, float, float]
    heading_deg: float
    votes: int


def vote(
    matches: Matches, view: View, catalogue: Catalogue, bin_m: float, scale_ratio: float, top: int
) -> list[Candidate]:
    """The ``top`` candidates, most votes first, no two within ``bin_m`` of one another.

    Bins are cubes of side ``bin_m`` in Earth-centred space by HEADING_BINS headings; a proposal counts in the
    eight cubes around it. Votes are distinct spots of the frame and distinct landmarks, whichever is fewer.
    """
    matches = matches[scale_agrees(matches, view, catalogue, scale_ratio)]
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

    order = np.argsort(heading, kind="stable")
    nadir, heading, spot, landmark = nadir[order], heading[order], spot[order], spread.landmark[order]
    keys = _bin_keys(nadir, heading, bin_m)
    bins = _fullest(keys, spot, _BINS_A_CANDIDATE * top)
    centres = _medians(bins, keys, nadir)
    of_bin, near = _near(nadir, heading, centres, bins % HEADING_BINS, 0.8 * bin_m / EARTH_RADIUS_M)
    votes = np.minimum(_distinct(of_bin, spot[near], len(bins)), _distinct(of_bin, landmark[near], len(bins)))
    place = np.zeros((len(bins), 3), np.float32)
    np.add.at(place, of_bin, nadir[near])
    place /= np.bincount(of_bin, minlength=len(bins)).clip(1).astype(np.float32)[:, None]
    falling = np.argsort(-votes, kind="stable")[: np.count_nonzero(votes)]
    unit = place[falling]
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    chosen = _apart(unit.astype(np.float64), bin_m / EARTH_RADIUS_M, top)
    return [
        Candidate(
            tuple(unit[k].tolist()), float((bins[falling[k]] % HEADING_BINS + 0.5) * step), int(votes[falling[k]])
        )
        for k in chosen
    ]


def _bin_keys(nadir: NDArray, heading: NDArray, bin_m: float) -> NDArray[np.int64]:
    """Keys (K, 8) of the eight bins around each proposal."""
    offset = int(EARTH_RADIUS_M / bin_m) + 2
    side = 2 * offset + 2
    corner = np.floor(nadir * (EARTH_RADIUS_M / bin_m) - 0.5).astype(np.int64) + offset
    cube = (corner @ np.array([side * side, side, 1]))[:, None] + _CORNERS @ np.array([side * side, side, 1])
    return cube * HEADING_BINS + heading[:, None]


def _fullest(keys: NDArray[np.int64], spot: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The keys (K, 8) with most distinct spots (K,), fullest first; ties in order of key."""
    spots = int(spot.max(initial=0)) + 1
    seen = np.sort((keys * spots + spot[:, None]).ravel())
    bins = seen[np.concatenate([[True], seen[1:] != seen[:-1]])] // spots
    starts = np.flatnonzero(np.concatenate([[True], bins[1:] != bins[:-1]]))
    votes = np.diff(starts, append=len(bins))
    return bins[starts[np.argsort(-votes, kind="stable")[:count]]]


def _medians(bins: NDArray[np.int64], keys: NDArray[np.int64], nadir: NDArray[np.float32]) -> NDArray[np.float32]:
    """The median (B, 3) of the proposals (K, 3) in each of the bins (B,), each of which holds one at least."""
    rising = np.sort(bins)
    # Most keys belong to none of the bins, which a look at their last bits tells.
    marks = np.zeros(1 << _MARK_BITS, bool)
    marks[rising & (len(marks) - 1)] = True
    flat = np.flatnonzero(marks[keys.ravel() & (len(marks) - 1)])
    number = np.searchsorted(rising, keys.ravel()[flat]).clip(0, len(rising) - 1)
    held = rising[number] == keys.ravel()[flat]
    number, member = number[held], nadir[flat[held] // keys.shape[1]]
    counts = np.bincount(number, minlength=len(rising))
    low = np.cumsum(counts) - counts + (counts - 1) // 2
    high = low + (counts + 1) % 2
    ordered = [member[np.lexsort((member[:, axis], number)), axis] for axis in range(3)]
    middle = np.stack([(values[low] + values[high]) / 2 for values in ordered], axis=1)
    return middle[np.searchsorted(rising, bins)]


def _near(
    nadir: NDArray[np.float32],
    heading: NDArray[np.int64],
    centre: NDArray[np.float32],
    centre_heading: NDArray[np.int64],
    radius: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which proposals (K, 3), in order of heading, lie within ``radius`` of which centres (B, 3) of their heading:
    pairs (centre, proposal), in order of centre, then proposal."""
    bounds = np.searchsorted(heading, np.arange(HEADING_BINS + 1))
    found = []
    for number in np.unique(centre_heading).tolist():
        part = slice(bounds[number], bounds[number + 1])
        these = np.flatnonzero(centre_heading == number)
        off = nadir[part] - centre[these, None]
        of_centre, proposal = np.nonzero(np.einsum("bkj,bkj->bk", off, off) < radius**2)
        found.append((these[of_centre], proposal + bounds[number]))
    of_centre, proposal = (np.concatenate(parts) for parts in zip(*found))
    order = np.argsort(of_centre, kind="stable")
    return of_centre[order], proposal[order]


def _distinct(group: NDArray[np.int64], value: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """How many different values (K,) each of the groups 0 to ``groups`` holds."""
    values = int(value.max(initial=0)) + 1
    return np.bincount(np.unique(group * values + value) // values, minlength=groups)


def _apart(place: NDArray[np.float64], radius: float, top: int) -> list[int]:
    """The first ``top`` of the places (N, 3) that are farther than ``radius`` from all before them."""
    free = np.ones(len(place), bool)
    kept: list[int] = []
    for number in range(len(place)):
        if free[number]:
            kept.append(number)
            if len(kept) == top:
                break
            free &= np.linalg.norm(place - place[number], axis=1) > radius
    return kept
