"""The constrained consensus: around a candidate, frame and landmarks are matched again among themselves only.

Every known constraint holds: ground offsets by rays, scale from the altitude, one common heading, inliers counted in
distinct places.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from onboard.feature_table import FeatureTable
from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.ground_plane import Ground, as_ground
from onboard.landmark_grid import LandmarkGrid
from onboard.landmarks import Catalogue
from onboard.matches import Matches, View
from onboard.voting import BASE_PX, MAX_KEYPOINT_TURN_DEG, TOLERANCE_PX, Candidate

MAX_TURN_DEG = 15.0  # between a candidate's heading and the true one
MAX_SCALE = 1.07  # what altitude and tilt leave open
# How far a right match may lie from where a candidate predicts it, in pixels of the catalogue: of two matches
# (photographs: off by 5 pixels and 1.6 degrees at most, docs/decisions.md), and of any.
VOTED_REACH_PX, REACH_PX = 20, 40
_MAX_HYPOTHESES = 500


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
        self._reach_m = REACH_PX * gsd_m
        self.grid = LandmarkGrid(catalogue)

    def verify(
        self, candidate: Candidate, view: View, worldwide: NDArray[np.int64], reach_px: float = REACH_PX
    ) -> Consensus:
        """The heaviest constrained consensus of a frame around a candidate, whose predictions are ``reach_px`` off at
        most.

        A pair that is also likely among all landmarks of the Earth and not only here counts twice; ``worldwide``:
        the keys of such pairs (`Matches.keys`), sorted.
        """
        unit = np.array(candidate.unit)
        numbers = self.grid.within(unit, float(view.way_rad.max(initial=0.0)) + self._reach_m / EARTH_RADIUS_M)
        offsets, angle_deg = offsets_from(unit, candidate.heading_deg, self._catalogue, numbers)
        feature, landmark, likeness = self._pairs(view, numbers, offsets, angle_deg, reach_px * self._gsd_m)
        weight = self.certainty(likeness)
        matches = Matches(feature, numbers[landmark])
        keys = matches.keys()
        weight += worldwide[np.searchsorted(worldwide, keys).clip(0, len(worldwide) - 1)] == keys
        frame, place = as_ground(view.ground_m)[feature], as_ground(offsets)[landmark]
        agree = best_similarity(frame, place, weight, TOLERANCE_PX * self._gsd_m, BASE_PX * self._gsd_m)
        return Consensus(candidate, matches, weight, agree)

    def certainty(self, likeness: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much matches of some likeness (K,) say for a place, in 0 to 1."""
        low, high = self._likeness
        return np.clip((likeness - low) / (high - low), 0.0, 1.0).astype(np.float32)

    def keypoints(
        self, view: View, numbers: NDArray[np.int64], offsets: Array, angle_deg: NDArray[np.float32], reach_m: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The keypoints of a frame that are landmarks (K,), expected at ground offsets (K, 2) and angles (K,): feature
        numbers and indices into ``numbers``. reach_m: at most this far from where they are expected."""
        feature, landmark, likeness = self._pairs(view, numbers, offsets, angle_deg, reach_m)
        # What is alike by chance lies around where it is expected, whether that is right or not, and would confirm it.
        sure = likeness > self._likeness[1]
        return feature[sure], landmark[sure]

    def _pairs(
        self, view: View, numbers: NDArray[np.int64], offsets: Array, angle_deg: NDArray[np.float32], reach_m: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Pairs (feature, index into ``numbers``) that are each other's likest of all that geometry allows, and their
        likeness."""
        low, high = view.ground_m.min(axis=0) - self._reach_m, view.ground_m.max(axis=0) + self._reach_m
        seen = np.flatnonzero(((offsets > low) & (offsets < high)).all(axis=1))
        feature, landmark = self._possible_pairs(view, numbers[seen], offsets[seen], angle_deg[seen], reach_m)
        descriptors = self._catalogue.decode(numbers[seen])
        likeness = np.einsum("ij,ij->i", view.features.descriptors[feature], descriptors[landmark])
        alike = np.flatnonzero(likeness > self._likeness[0])
        alike = alike[_mutual(feature[alike], landmark[alike], likeness[alike], len(view), len(seen))]
        return feature[alike], seen[landmark[alike]], likeness[alike]

    def _possible_pairs(
        self, view: View, numbers: NDArray[np.int64], offsets: Array, angle_deg: NDArray[np.float32], reach_m: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All pairs (feature, index into ``numbers``) that geometry allows: near one another, turned alike, of one
        scale."""
        feature, landmark = _feature_table(view, self._reach_m).near(offsets, angle_deg)
        ratio = view.features.scale_px[feature] / self._catalogue.scale_px[numbers][landmark]
        sized = np.flatnonzero((ratio < self._scale_ratio) & (ratio > 1 / self._scale_ratio))
        feature, landmark = feature[sized], landmark[sized]
        possible = may_be(view, feature, as_ground(offsets)[landmark], angle_deg[landmark], reach_m)
        return feature[possible], landmark[possible]


def may_be(
    view: View, feature: NDArray[np.int64], place: Ground, angle_deg: NDArray[np.float32], reach_m: float
) -> NDArray[np.bool_]:
    """Which features (P,) lie within ``reach_m`` of where landmarks are predicted, ground offsets (P,), and are turned
    as they are, keypoint angles (P,), as well as a candidate's heading and keypoints' directions let them."""
    apart = as_ground(view.ground_m)[feature] - place
    turn = view.features.angle_deg[feature] - angle_deg
    turn -= 360 * np.rint(turn / 360)
    near = apart.real**2 + apart.imag**2 < reach_m**2
    return np.asarray(near & (np.abs(turn) < MAX_KEYPOINT_TURN_DEG))


@lru_cache(maxsize=1)  # one view is verified against many places
def _feature_table(view: View, reach_m: float) -> FeatureTable:
    return FeatureTable(view, reach_m, MAX_KEYPOINT_TURN_DEG)


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
    unit: Array, heading_deg: float | Array, catalogue: Catalogue, numbers: NDArray[np.int64]
) -> tuple[Array, NDArray[np.float32]]:
    """Where landmarks would appear to a camera whose axis meets ``unit`` (3,), at a heading there; or each to its own:
    (K, 3) and (K,).

    Returns ground offsets (K, 2), metres right and down, and the keypoint angles (K,) in degrees, [0, 360), as
    the rectified frame would show them.
    """
    aim_x, aim_y, aim_z = unit.T
    flat = np.maximum(np.hypot(aim_x, aim_y), 1e-12)
    east_x, east_y = -aim_y / flat, aim_x / flat
    x, y, z = catalogue.unit[numbers].T.astype(np.float64)
    to_east, to_north = east_x * x + east_y * y, aim_z * (east_x * y - east_y * x) + flat * z
    across, along = np.hypot(to_east, to_north), aim_x * x + aim_y * y + aim_z * z
    way_m = np.arctan2(across, along) * EARTH_RADIUS_M
    way_m /= np.maximum(across, 1e-12)
    sin, cos = np.sin(np.radians(heading_deg)), np.cos(np.radians(heading_deg))
    offsets = np.empty((len(numbers), 2))
    offsets[:, 0] = way_m * (to_east * cos - to_north * sin)
    offsets[:, 1] = -way_m * (to_north * cos + to_east * sin)
    # The great circle back to the nadir leaves the landmark at an azimuth that differs by the convergence of meridians.
    onward_east = y * aim_x - x * aim_y
    onward_north = z * (x * aim_x + y * aim_y) - (x * x + y * y) * aim_z
    convergence = np.degrees(
        np.arctan2(onward_east * to_north - onward_north * to_east, onward_north * to_north + onward_east * to_east)
    )
    angle_deg = (catalogue.angle_deg[numbers] - heading_deg - convergence) % 360.0
    return offsets, angle_deg.astype(np.float32)


def best_similarity(
    frame: NDArray[np.complex128], place: NDArray[np.complex128], weight: NDArray, tolerance_m: float, base_m: float
) -> NDArray[np.bool_]:
    """Members (K,) of the heaviest set for which place = s·frame·e^{iθ} + t, within ``tolerance_m``.

    Each pair of matches at least ``base_m`` apart is a hypothesis; those whose scale or turn is impossible are not
    tried, heavy pairs are tried first. Deterministic: no dice are thrown.
    """
    frame, place = frame.astype(np.complex64), place.astype(np.complex64)  # centimetres are nothing here
    base, span = frame - frame[:, None], place - place[:, None]
    square, size = base.real**2 + base.imag**2, span.real**2 + span.imag**2
    possible = (square > base_m**2) & (size < MAX_SCALE**2 * square) & (size * MAX_SCALE**2 > square)
    # The turn of span / base, without dividing.
    along, across = base.real * span.real + base.imag * span.imag, base.real * span.imag - base.imag * span.real
    possible &= np.abs(across) < np.tan(np.radians(MAX_TURN_DEG)) * along
    first, second = np.nonzero(possible)
    first, second = first[first < second], second[first < second]
    if len(first) == 0:
        return np.zeros(len(frame), bool)
    if len(first) > _MAX_HYPOTHESES:
        heaviest = np.argsort(-(weight[first] * weight[second]), kind="stable")[:_MAX_HYPOTHESES]
        first, second = first[heaviest], second[heaviest]
    factor = span[first, second] / base[first, second]
    off = factor[:, None] * frame
    off += (place[first] - factor * frame[first])[:, None]
    off -= place
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
