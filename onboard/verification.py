"""The constrained consensus: around a candidate, frame and landmarks are matched again among themselves only.

Every known constraint holds: ground offsets by rays, scale from the altitude, one common heading, inliers counted in
distinct places. Measured on real frames this matters more than the feature (docs/results.md).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.landmark_grid import LandmarkGrid
from onboard.landmarks import Catalogue
from onboard.matches import Matches, View
from onboard.voting import Candidate

MAX_TURN_DEG = 15.0  # between a candidate's heading (bin and neighbours) and the true one
MAX_KEYPOINT_TURN_DEG = 25.0  # between a candidate's heading and the one of two keypoints' orientations
MAX_SCALE = 1.07  # what altitude and tilt leave open
# How far a right match may lie from where the candidate predicts it, in pixels of the catalogue: a candidate is off by
# part of a bin in place and of a heading bin in turn.
_REACH_PX = 40
_TOLERANCE_PX = 3
_BASE_PX = 30
_MAX_HYPOTHESES = 500
_SECTORS = int(360 // MAX_KEYPOINT_TURN_DEG)


@dataclass(frozen=True, eq=False)
class Consensus:
    """The best agreement found around a candidate: all mutual matches with their weights (K,) in 0 to 2, and which
    of them agree, bool (K,)."""

    candidate: Candidate
    matches: Matches
    weight: NDArray[np.float32]
    agree: NDArray[np.bool_]

    @property
    def support(self) -> float:
        """Weight of the matches that agree."""
        return float(self.weight[self.agree].sum())


class Verifier:
    """Verification against one catalogue. grid: its landmarks in order of place.

    likeness: cosines of a feature to a decoded landmark at which a match starts to speak for a place, and at which it
    says all it can (`Describer.likeness`).
    """

    def __init__(self, catalogue: Catalogue, gsd_m: float, scale_ratio: float, likeness: tuple[float, float]) -> None:
        self._catalogue, self._gsd_m, self._scale_ratio, self._likeness = catalogue, gsd_m, scale_ratio, likeness
        self._reach_m = _REACH_PX * gsd_m
        self.grid = LandmarkGrid(catalogue)

    def verify(self, candidate: Candidate, view: View, worldwide: NDArray[np.int64]) -> Consensus:
        """The heaviest constrained consensus of a frame around a candidate.

        A pair that is also nearest among all landmarks of the Earth and not only here counts twice; ``worldwide``:
        the keys of such pairs (`Matches.keys`), sorted.
        """
        unit = np.array(candidate.unit)
        numbers = self.grid.within(unit, float(view.way_rad.max(initial=0.0)) + self._reach_m / EARTH_RADIUS_M)
        offsets, angle_deg = offsets_from(unit, candidate.heading_deg, self._catalogue, numbers)
        low, high = view.ground_m.min(axis=0) - self._reach_m, view.ground_m.max(axis=0) + self._reach_m
        seen = ((offsets > low) & (offsets < high)).all(axis=1)
        numbers, offsets, angle_deg = numbers[seen], offsets[seen], angle_deg[seen]
        feature, landmark = self._possible_pairs(view, numbers, offsets, angle_deg)
        descriptors = self._catalogue.decode(numbers)
        likeness = np.einsum("ij,ij->i", view.features.descriptors[feature], descriptors[landmark])
        low_likeness, high_likeness = self._likeness
        mutual = _mutual(feature, landmark, likeness, len(view), len(numbers)) & (likeness > low_likeness)
        feature, landmark = feature[mutual], landmark[mutual]
        certainty = (likeness[mutual] - low_likeness) / (high_likeness - low_likeness)
        weight = np.minimum(1.0, certainty).astype(np.float32)
        matches = Matches(feature, numbers[landmark])
        keys = matches.keys()
        weight += worldwide[np.searchsorted(worldwide, keys).clip(0, len(worldwide) - 1)] == keys
        frame, place = view.ground_m[feature] @ [1, 1j], offsets[landmark] @ [1, 1j]
        agree = best_similarity(frame, place, weight, _TOLERANCE_PX * self._gsd_m, _BASE_PX * self._gsd_m)
        return Consensus(candidate, matches, weight, agree)

    def _possible_pairs(
        self, view: View, numbers: NDArray[np.int64], offsets: Array, angle_deg: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All pairs (feature, index into ``numbers``) that geometry allows: near one another, turned alike, of one
        scale. Landmarks are hashed by place and orientation, so that few impossible pairs are ever looked at."""
        features = view.features
        low = view.ground_m.min(axis=0) - 2 * self._reach_m
        columns, rows = ((view.ground_m.max(axis=0) - low) / self._reach_m).astype(int) + 3

        def cells(ground: Array, angle: NDArray[np.float32]) -> tuple[NDArray, NDArray, NDArray]:
            x, y = ((ground - low) / self._reach_m).astype(int).T
            return x, y, (angle * (_SECTORS / 360)).astype(int) % _SECTORS

        x, y, sector = cells(offsets, angle_deg)
        key = (sector * rows + y) * columns + x
        order = np.argsort(key, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(key, minlength=_SECTORS * rows * columns))])
        x, y, sector = cells(view.ground_m, features.angle_deg)
        found = []
        for other in (-1, 0, 1):
            for row in (-1, 0, 1):
                # Three cells beside one another in x lie together in the table.
                base = ((sector + other) % _SECTORS * rows + y + row) * columns + x
                found.append(_expand(starts[base - 1], starts[base + 2]))
        feature = np.concatenate([pair[0] for pair in found])
        landmark = order[np.concatenate([pair[1] for pair in found])]

        apart = view.ground_m[feature] - offsets[landmark]
        turn = features.angle_deg[feature] - angle_deg[landmark]
        turn -= 360 * np.rint(turn / 360)
        ratio = features.scale_px[feature] / self._catalogue.scale_px[numbers[landmark]]
        possible = (apart**2).sum(axis=1) < self._reach_m**2
        possible &= np.abs(turn) < MAX_KEYPOINT_TURN_DEG
        possible &= (ratio < self._scale_ratio) & (ratio > 1 / self._scale_ratio)
        return feature[possible], landmark[possible]


def _expand(start: NDArray[np.int64], stop: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ranges start..stop (N,) written out: the number of the range, and the positions."""
    length = stop - start
    which = np.repeat(np.arange(len(start)), length)
    first = np.concatenate([[0], np.cumsum(length)[:-1]])
    return which, np.arange(len(which)) - first[which] + start[which]


def _mutual(
    feature: NDArray[np.int64], landmark: NDArray[np.int64], likeness: NDArray, features: int, landmarks: int
) -> NDArray[np.bool_]:
    """Which pairs are the likeliest of both their feature and their landmark."""
    rising = np.argsort(likeness, kind="stable")
    best_of_feature, best_of_landmark = np.full(features, -1), np.full(landmarks, -1)
    best_of_feature[feature[rising]] = rising  # the last one written stays: the likeliest
    best_of_landmark[landmark[rising]] = rising
    number = np.arange(len(feature))
    return (best_of_feature[feature] == number) & (best_of_landmark[landmark] == number)


def offsets_from(
    unit: Array, heading_deg: float, catalogue: Catalogue, numbers: NDArray[np.int64]
) -> tuple[Array, NDArray[np.float32]]:
    """Where landmarks would appear to a camera whose axis meets ``unit`` (3,), at a heading there.

    Returns ground offsets (K, 2), metres right and down, and the keypoint angles (K,) in degrees, [0, 360), as
    the rectified frame would show them.
    """
    east = np.array([-unit[1], unit[0], 0.0])
    east /= max(float(np.hypot(east[0], east[1])), 1e-12)
    north = np.cross(unit, east)
    places = catalogue.unit[numbers].astype(np.float64)
    to_east, to_north, along = places @ east, places @ north, places @ unit
    azimuth = np.arctan2(to_east, to_north)
    way_m = np.arctan2(np.hypot(to_east, to_north), along) * EARTH_RADIUS_M
    bearing = azimuth - np.radians(heading_deg)
    offsets = np.column_stack([way_m * np.sin(bearing), -way_m * np.cos(bearing)])
    # The great circle back to the nadir leaves the landmark at an azimuth that differs by the convergence of meridians.
    east_at = np.column_stack([-places[:, 1], places[:, 0], np.zeros(len(places))])
    east_at /= np.maximum(np.hypot(east_at[:, 0], east_at[:, 1]), 1e-12)[:, None]
    north_at = np.cross(places, east_at)
    onward = np.arctan2(-(east_at @ unit), -(north_at @ unit))
    convergence = np.degrees(onward - azimuth)
    angle_deg = (catalogue.angle_deg[numbers] - heading_deg - convergence) % 360.0
    return offsets, angle_deg.astype(np.float32)


def best_similarity(
    frame: NDArray[np.complex128], place: NDArray[np.complex128], weight: NDArray, tolerance_m: float, base_m: float
) -> NDArray[np.bool_]:
    """Members (K,) of the heaviest set for which place = s·frame·e^{iθ} + t, within ``tolerance_m``.

    Each pair of matches at least ``base_m`` apart is a hypothesis; those whose scale or turn is impossible are not
    tried, heavy pairs are tried first. Deterministic: no dice are thrown.
    """
    first, second = np.triu_indices(len(frame), 1)
    base = frame[second] - frame[first]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = (place[second] - place[first]) / base
    size, limit = np.abs(factor), np.tan(np.radians(MAX_TURN_DEG))
    possible = (np.abs(base) > base_m) & (size < MAX_SCALE) & (size > 1 / MAX_SCALE)
    possible &= np.abs(factor.imag) < limit * factor.real
    trials = np.flatnonzero(possible)
    if len(trials) == 0:
        return np.zeros(len(frame), bool)
    if len(trials) > _MAX_HYPOTHESES:
        heavy = weight[first[trials]] * weight[second[trials]]
        trials = trials[np.argsort(-heavy, kind="stable")[:_MAX_HYPOTHESES]]
    factor = factor[trials]
    shift = place[first[trials]] - factor * frame[first[trials]]
    off = factor[:, None] * frame + shift[:, None] - place
    agree = off.real**2 + off.imag**2 < tolerance_m**2
    return agree[int((agree @ weight).argmax())]


def distinct(matches: Matches, weight: NDArray, view: View) -> NDArray[np.bool_]:
    """Which matches count: the heaviest of each spot of the frame and of each landmark, bool (K,)."""
    falling = np.argsort(-weight, kind="stable")
    spot, landmark = view.spot[matches.feature[falling]], matches.landmark[falling]
    counts = np.zeros(len(matches), bool)
    of_spot, of_landmark = np.unique(spot, return_index=True)[1], np.unique(landmark, return_index=True)[1]
    counts[falling[np.intersect1d(of_spot, of_landmark)]] = True
    return counts
