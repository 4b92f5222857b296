"""The constrained consensus: around a candidate, frame and landmarks are matched again among themselves only.

Every known constraint holds: ground offsets by rays, scale from the altitude, one common heading, inliers counted in
distinct places. Measured on real frames this matters more than the feature (docs/results.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.landmarks import Catalogue
from onboard.matches import Matches, View
from onboard.voting import Candidate

MAX_TURN_DEG = 15.0  # between a candidate's heading (bin and neighbours) and the true one
# No more than a sector of orientation, below.
MAX_KEYPOINT_TURN_DEG = 30.0  # between a candidate's heading and the one of two keypoints' orientations
MAX_SCALE = 1.07  # what altitude and tilt leave open
# How far a right match may lie from where the candidate predicts it, in pixels of the catalogue: a candidate is off by
# part of a bin in place and of a heading bin in turn.
_REACH_PX = 45
_TOLERANCE_PX = 5
_BASE_PX = 30
_PATCH_PX = 150
_MAX_HYPOTHESES = 800
_SECTORS = 12
_SECTOR_DEG = 360.0 / _SECTORS


@dataclass(frozen=True, eq=False)
class Consensus:
    """The best agreement found around a candidate: all mutual matches, those in agreement, and how many distinct
    places these amount to."""

    candidate: Candidate
    matches: Matches
    inliers: Matches
    count: int


class Verifier:
    """Verification against one catalogue; the landmarks are ordered by latitude once, to cut neighbourhoods fast."""

    def __init__(self, catalogue: Catalogue, gsd_m: float, scale_ratio: float) -> None:
        self._catalogue, self._gsd_m, self._scale_ratio = catalogue, gsd_m, scale_ratio
        self._reach_m = _REACH_PX * gsd_m
        self._by_z = np.argsort(catalogue.unit[:, 2], kind="stable")
        self._z = catalogue.unit[self._by_z, 2]

    def neighbourhood(self, unit: Array, radius_rad: float) -> NDArray[np.int64]:
        """Numbers of the landmarks within an angle of a unit vector (3,)."""
        middle = np.arcsin(np.clip(unit[2], -1, 1))
        low, high = middle - radius_rad, middle + radius_rad
        start = np.searchsorted(self._z, np.sin(low) if low > -np.pi / 2 else -2.0)
        stop = np.searchsorted(self._z, np.sin(high) if high < np.pi / 2 else 2.0)
        band = self._by_z[start:stop]
        return band[self._catalogue.unit[band] @ unit.astype(np.float32) > np.cos(radius_rad)]

    def verify(self, candidate: Candidate, view: View) -> Consensus:
        """The largest constrained consensus of a frame around a candidate."""
        unit = np.array(candidate.unit)
        numbers = self.neighbourhood(unit, float(view.way_rad.max(initial=0.0)) + self._reach_m / EARTH_RADIUS_M)
        offsets, angle_deg = offsets_from(unit, candidate.heading_deg, self._catalogue, numbers)
        low, high = view.ground_m.min(axis=0) - self._reach_m, view.ground_m.max(axis=0) + self._reach_m
        seen = ((offsets > low) & (offsets < high)).all(axis=1)
        numbers, offsets, angle_deg = numbers[seen], offsets[seen], angle_deg[seen]
        matches = self._mutual_matches(view, numbers, offsets, angle_deg)
        if len(matches) < 3:
            return Consensus(candidate, matches[:0], matches[:0], 0)
        frame = _complex(view.ground_m[matches.feature])
        place = _complex(offsets[matches.landmark])
        chosen = best_similarity(frame, place, _TOLERANCE_PX * self._gsd_m, _BASE_PX * self._gsd_m)
        matches = Matches(matches.feature, numbers[matches.landmark])
        inliers = matches[chosen]
        return Consensus(candidate, matches, inliers, distinct_places(inliers, view))

    def _mutual_matches(
        self, view: View, numbers: NDArray[np.int64], offsets: Array, angle_deg: NDArray[np.float32]
    ) -> Matches:
        """Mutual nearest neighbours (feature, index into ``numbers``) among the pairs that geometry allows.

        Done block by block, a patch of ground and a sector of orientation at a time, so that most impossible pairs
        are never looked at and each block stays in the processor's cache.
        """
        features, catalogue = view.features, self._catalogue
        descriptors = catalogue.decode(numbers)
        ground, place = view.ground_m.astype(np.float32), offsets.astype(np.float32)
        log_frame, log_map = np.log(features.scale_px), np.log(catalogue.scale_px[numbers])
        sector = (angle_deg // _SECTOR_DEG).astype(int) % _SECTORS
        best_landmark = np.full(len(features), -1)
        best_feature, best_likeness = np.full(len(numbers), -1), np.full(len(numbers), -1.0, np.float32)
        for rows, row_sector in self._blocks(ground, features.angle_deg):
            columns = np.flatnonzero((sector - row_sector + 1) % _SECTORS < 3)
            low, high = ground[rows].min(axis=0) - self._reach_m, ground[rows].max(axis=0) + self._reach_m
            columns = columns[((place[columns] > low) & (place[columns] < high)).all(axis=1)]
            if len(columns) == 0:
                continue
            likeness = features.descriptors[rows] @ descriptors[columns].T
            right = ground[rows, 0, None] - place[columns, 0]
            down = ground[rows, 1, None] - place[columns, 1]
            turn = features.angle_deg[rows, None] - angle_deg[columns]
            turn -= 360.0 * np.rint(turn * np.float32(1 / 360))
            impossible = right * right + down * down > self._reach_m**2
            impossible |= np.abs(log_frame[rows, None] - log_map[columns]) > np.log(self._scale_ratio)
            impossible |= np.abs(turn) > MAX_KEYPOINT_TURN_DEG
            likeness[impossible] = -1.0
            choice = likeness.argmax(axis=1)
            found = likeness[np.arange(len(rows)), choice] > -1.0
            best_landmark[rows[found]] = columns[choice[found]]
            of_landmark = likeness.max(axis=0)
            better = of_landmark > best_likeness[columns]
            best_feature[columns[better]] = rows[likeness.argmax(axis=0)[better]]
            best_likeness[columns[better]] = of_landmark[better]
        feature = np.flatnonzero(best_landmark >= 0)
        mutual = best_feature[best_landmark[feature]] == feature
        return Matches(feature[mutual], best_landmark[feature[mutual]])

    def _blocks(self, ground: NDArray, angle_deg: NDArray) -> Iterator[tuple[NDArray[np.int64], int]]:
        """Feature numbers that share a patch of ground and a sector of orientation, and that sector."""
        sector = (angle_deg // _SECTOR_DEG).astype(int) % _SECTORS
        patch = np.floor(ground / (_PATCH_PX * self._gsd_m)).astype(int)
        key = (patch[:, 0] * 4096 + patch[:, 1]) * _SECTORS + sector
        order = np.argsort(key, kind="stable")
        edges = np.flatnonzero(np.diff(key[order])) + 1
        for rows in np.split(order, edges):
            yield rows, int(sector[rows[0]])


def offsets_from(
    unit: Array, heading_deg: float, catalogue: Catalogue, numbers: NDArray[np.int64]
) -> tuple[Array, NDArray[np.float32]]:
    """Where landmarks would appear to a camera over ``unit`` (3,) at a heading.

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
    frame: NDArray[np.complex128], place: NDArray[np.complex128], tolerance_m: float, base_m: float
) -> NDArray[np.bool_]:
    """Members (K,) of the largest set for which place = s·frame·e^{iθ} + t, within ``tolerance_m``.

    Each pair of matches at least ``base_m`` apart is a hypothesis; those whose scale or turn is impossible are not
    tried. Deterministic: pairs are thinned by a fixed stride, no dice are thrown.
    """
    first, second = np.triu_indices(len(frame), 1)
    base = frame[second] - frame[first]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = (place[second] - place[first]) / base
        possible = (np.abs(base) > base_m) & (np.abs(np.log(np.abs(factor))) < np.log(MAX_SCALE))
        possible &= np.abs(np.angle(factor)) < np.radians(MAX_TURN_DEG)
    trials = np.flatnonzero(possible)
    if len(trials) == 0:
        return np.zeros(len(frame), bool)
    trials = trials[:: -(-len(trials) // _MAX_HYPOTHESES)]
    factor = factor[trials]
    shift = place[first[trials]] - factor * frame[first[trials]]
    off = factor[:, None] * frame + shift[:, None] - place
    agree = off.real**2 + off.imag**2 < tolerance_m**2
    return agree[int(agree.sum(axis=1).argmax())]


def distinct_places(matches: Matches, view: View) -> int:
    """How many witnesses matches amount to: distinct spots of the frame or distinct landmarks, the fewer."""
    return min(len(np.unique(view.spot[matches.feature])), len(np.unique(matches.landmark)))


def _complex(points: Array) -> NDArray[np.complex128]:
    return points[:, 0] + 1j * points[:, 1]
