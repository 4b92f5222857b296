"""What a frame's features propose: the nearest landmarks worldwide, and agreements around the places voted for."""

from collections.abc import Sequence
from concurrent.futures import Executor

import faiss
import numpy as np
from numpy.typing import NDArray

from onboard.clock import Clock
from onboard.fix import Prior
from onboard.geodesy import EARTH_RADIUS_M, unit_from_latlon
from onboard.landmarks import Catalogue
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


def nearest_landmarks(
    index: faiss.IndexIVFPQFastScan, catalogue: Catalogue, search: Search, view: View, prior: Prior | None
) -> tuple[Matches, NDArray[np.float32]]:
    """Every feature with its nearest landmarks of the whole Earth, or of what the prior allows: of these matches the
    ``search.matches`` likeliest, and the log odds (K,) that each is right, but for a constant."""
    squares, numbers = index.search(view.features.descriptors, search.neighbours)
    squares = np.where(numbers >= 0, squares, 0.0)
    share = squares / np.maximum(squares.max(axis=1, keepdims=True), _LEAST_SQUARE)
    log_odds = (_BY_RATIO * share + _BY_DIRECTION * view.features.turned_log_share[:, None]).ravel()
    matches = Matches(np.repeat(np.arange(len(view), dtype=np.int64), search.neighbours), numbers.ravel())
    allowed = matches.landmark >= 0
    if prior is not None:
        way_rad = (5 * prior.sigma_m + search.bin_m) / EARTH_RADIUS_M + float(view.way_rad.max())
        middle = unit_from_latlon(prior.lat_deg, prior.lon_deg)
        allowed &= catalogue.unit[matches.landmark] @ middle > np.cos(min(way_rad + view.plane.nadir_way_rad, np.pi))
    likeliest = np.flatnonzero(allowed)
    likeliest = likeliest[np.argsort(-log_odds[likeliest], kind="stable")[: search.matches]]
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
