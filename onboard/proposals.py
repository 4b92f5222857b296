"""What a frame's features propose: the nearest landmarks worldwide, and agreements around the places voted for."""

from collections.abc import Sequence
from concurrent.futures import Executor

import faiss
import numpy as np
from numpy.typing import NDArray

from onboard.clock import Clock
from onboard.fix import Prior
from onboard.geodesy import EARTH_RADIUS_M, unit_from_latlon
from onboard.landmark_grid import LandmarkGrid
from onboard.landmarks import Catalogue, local_index
from onboard.matches import Matches, View
from onboard.search import Search
from onboard.verification import VOTED_REACH_PX, Consensus, Verifier
from onboard.voting import Candidate

_AT_ONCE = 4  # candidates verified before asking whether that was enough
# Log odds that a match is right: by the square of the descriptors' distance as a share of the farthest neighbour's
# (Lowe's test, IJCV 2004, against the twentieth instead of the second), and by how likely the keypoint's direction is.
# Logistic regression on simulated views (docs/decisions.md).
_BY_RATIO, _BY_DIRECTION = -20.7, 0.56
_LEAST_SQUARE = 1e-6
# Where no more landmarks than these can be in view, all of them are looked at: it takes less time than the lists of the
# whole Earth, and as few neighbours and matches are enough (docs/decisions.md).
_LOCAL, _LOCAL_NEIGHBOURS, _LOCAL_MATCHES = 50_000, 5, 1500


def in_reach(grid: LandmarkGrid, search: Search, view: View, whereabouts: Prior | None) -> NDArray[np.int64] | None:
    """Numbers of the landmarks that a view can show, ascending; None: any."""
    if whereabouts is None:
        return None
    way_rad = (5 * whereabouts.sigma_m + search.bin_m) / EARTH_RADIUS_M + float(view.way_rad.max())
    way_rad += view.plane.nadir_way_rad
    if way_rad >= np.pi:
        return None
    return grid.within(unit_from_latlon(whereabouts.lat_deg, whereabouts.lon_deg), way_rad)


def nearest_landmarks(
    index: faiss.IndexIVFPQFastScan,
    catalogue: Catalogue,
    search: Search,
    view: View,
    near: NDArray[np.int64] | None,
) -> tuple[Matches, NDArray[np.float32]]:
    """Every feature with its nearest landmarks of the whole Earth, or of those that are ``near`` (`in_reach`): of these
    matches the likeliest, ``search.matches`` at most, and the log odds (K,) that each is right, but for a constant."""
    descriptors, most = view.features.descriptors, search.matches
    if near is not None and len(near) <= _LOCAL:
        most = min(most, _LOCAL_MATCHES)
        squares, places = local_index(catalogue, near).search(descriptors, _LOCAL_NEIGHBOURS)
        numbers = np.append(near, -1)[places]
    else:
        squares, numbers = index.search(descriptors, search.neighbours)
    squares = np.where(numbers >= 0, squares, 0.0)  # faiss says -1 where there are no more
    share = squares / np.maximum(squares.max(axis=1, keepdims=True), _LEAST_SQUARE)
    log_odds = (_BY_RATIO * share + _BY_DIRECTION * view.features.turned_log_share[:, None]).ravel()
    matches = Matches(np.repeat(np.arange(len(view), dtype=np.int64), numbers.shape[1]), numbers.ravel())
    allowed = matches.landmark >= 0 if near is None else np.isin(matches.landmark, near)
    likeliest = np.flatnonzero(allowed)
    if len(likeliest) > most:  # sorting all of them takes three times as long
        odds = log_odds[likeliest]
        likeliest = likeliest[odds >= np.partition(odds, -most)[-most]]
    likeliest = likeliest[np.argsort(-log_odds[likeliest], kind="stable")[:most]]
    return matches[likeliest], log_odds[likeliest]


def agreements(
    verifier: Verifier,
    candidates: Sequence[Candidate],
    view: View,
    worldwide: NDArray[np.int64],
    enough: float,
    threads: Executor,
    clock: Clock,
) -> list[Consensus]:
    """Candidates verified in order, heaviest agreement first; the rest is not looked at once one has more than
    ``enough`` support: so much that chance does not explain it."""

    def verify(candidate: Candidate) -> Consensus:
        clock.check()
        return verifier.verify(candidate, view, worldwide, VOTED_REACH_PX)

    found: list[Consensus] = []
    for start in range(0, len(candidates), _AT_ONCE):
        found += threads.map(verify, candidates[start : start + _AT_ONCE])
        found.sort(key=lambda consensus: -consensus.support)
        if found[0].support > enough:
            break
    return found
