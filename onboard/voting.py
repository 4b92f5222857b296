"""Votes of the whole Earth: every match proposes the view's place and heading, right ones pile up in one bin."""

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
_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.int64)


@dataclass(frozen=True)
class Candidate:
    """A place and heading worth verifying: unit vector of the point that the camera's axis meets (`GroundPlane`'s aim;
    looking straight down: the nadir point), degrees there, distinct witnesses."""

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

    keys = _bin_keys(nadir, heading, bin_m)
    order = np.argsort(heading, kind="stable")
    nadir, keys, spot, landmark = nadir[order], keys[order], spot[order], spread.landmark[order]
    bounds = np.searchsorted(heading[order], np.arange(HEADING_BINS + 1))
    radius = 0.8 * bin_m / EARTH_RADIUS_M
    candidates: list[Candidate] = []
    for key in _fullest(keys, spot, _BINS_A_CANDIDATE * top).tolist():
        number = key % HEADING_BINS
        part = slice(bounds[number], bounds[number + 1])
        centre = np.median(nadir[part][(keys[part] == key).any(axis=1)], axis=0)
        off = nadir[part] - centre
        near = np.einsum("ij,ij->i", off, off) < radius**2
        if not near.any():
            continue
        votes = min(len(set(spot[part][near].tolist())), len(set(landmark[part][near].tolist())))
        place = nadir[part][near].mean(axis=0)
        place /= np.linalg.norm(place)
        candidates.append(Candidate(tuple(place.tolist()), float((number + 0.5) * step), votes))
    candidates.sort(key=lambda candidate: -candidate.votes)
    return _apart(candidates, bin_m / EARTH_RADIUS_M, top)


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


def _apart(candidates: list[Candidate], radius: float, top: int) -> list[Candidate]:
    kept: list[Candidate] = []
    for candidate in candidates:
        place = np.array(candidate.unit)
        if all(np.linalg.norm(place - other.unit) > radius for other in kept):
            kept.append(candidate)
            if len(kept) == top:
                break
    return kept
