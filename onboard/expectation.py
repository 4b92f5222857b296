"""Looking where a frame should be, and judging what is found by what the same look finds where the frame is not.

A score that means something for one place out of the whole Earth's votes means something else for a place that was
looked at because it was predicted. So every frame is also checked against decoys, places far away that are looked at in
the same way; their scores tell what chance gives, in the units of whatever verification the pack flies with.
"""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.acceptance import Acceptance, fit_acceptance
from onboard.geodesy import (
    EARTH_RADIUS_M,
    Array,
    ecef_from_ned,
    geodetic_from_ecef,
    horizontal_covariance,
    unit_from_latlon,
)
from onboard.ground_plane import GroundPlane
from onboard.hypothesis import Hypothesis, Sighting
from onboard.voting import Candidate

_STEP_PX = 33  # between looks: verification reaches a little farther than this around a candidate (REACH_PX)
_SIGMAS = 3.0
_MOST_LOOKS = 25  # beyond, the prediction is too vague to be looked at piece by piece
_DECOYS, _DECOYS_LATER = 16, 4  # a frame, until there are enough, and afterwards
_ENOUGH, _KEPT = 200, 800
_FAR_RAD = 0.25  # decoys lie at least this far from the prediction
# A prediction whose 1-sigma is within this share of the altitude tells by itself from which side the ground is seen: a
# camera that leans by six degrees more than was told seems, from the other side, to be beyond the tracker's gate.
_TELLS_SIDES = 0.02


class Checker(Protocol):
    """What tells how well a sighted frame fits a place: `onboard.Localizer`."""

    def check(self, sighting: Sighting, candidates: Sequence[Candidate], sides: bool) -> list[Hypothesis]: ...


class Expectation:
    """Checks predictions for one tracker. landmarks (N, 3): unit vectors of the map, for decoys that have something to
    match; limit: the accepted chance that a frame fits its predicted place without being there."""

    def __init__(self, checker: Checker, landmarks: NDArray[np.float32], limit: float) -> None:
        self._checker, self._landmarks, self._limit = checker, landmarks, limit
        self._scores: deque[float] = deque(maxlen=_KEPT)
        self._dice = np.random.default_rng(0)
        self._chance: Acceptance | None = None

    def learn(self, sighting: Sighting, away_from: Array | None) -> None:
        """Check a frame against decoys, none near the unit vector ``away_from`` (3,)."""
        if sighting.view is None:
            return
        wanted = _DECOYS if len(self._scores) < _ENOUGH else _DECOYS_LATER
        places = self._landmarks[self._dice.integers(len(self._landmarks), size=wanted)].astype(np.float64)
        headings = self._dice.uniform(0, 360, wanted)
        near = [away_from] if away_from is not None else []
        near += [np.array(place.candidate.unit) for place in sighting.places[:1]]
        keep = [all(place @ other < np.cos(_FAR_RAD) for other in near) for place in places]
        decoys = [_candidate(place, heading) for place, heading in zip(places[keep], headings[keep], strict=True)]
        self._scores.extend(hypothesis.score for hypothesis in self._checker.check(sighting, decoys, False))
        if len(self._scores) >= _ENOUGH:
            self._chance = fit_acceptance(np.array(self._scores), self._limit)

    def look(
        self, sighting: Sighting, position_ecef_m: Array, covariance_m2: Array, heading_deg: float
    ) -> Hypothesis | None:
        """The best place around a predicted one, if chance would not explain it: the chance that one decoy scores as
        much, times the number of looks, is within the limit.

        covariance_m2 (3, 3): of the position, ECEF; heading_deg: expected of the camera.
        """
        if sighting.view is None or sighting.known is None or self._chance is None:
            return None
        candidates = looks(position_ecef_m, covariance_m2, heading_deg, _STEP_PX * sighting.view.gsd_m)
        if not candidates:
            return None
        candidates = [_aimed(candidate, sighting.known.plane) for candidate in candidates]
        spread = np.linalg.eigvalsh(horizontal_covariance(position_ecef_m, covariance_m2))
        vague = bool(np.sqrt(spread[-1]) > _TELLS_SIDES * sighting.known.altitude_m)
        best = max(self._checker.check(sighting, candidates, vague), key=lambda hypothesis: hypothesis.score)
        chance = len(candidates) * self._chance.false_fix_probability(best.score)
        return best if best.pose is not None and chance <= self._limit else None


def _aimed(over: Candidate, plane: GroundPlane) -> Candidate:
    """What a camera over a place looks at."""
    unit, heading_deg = plane.aim(over.unit, over.heading_deg)
    return _candidate(unit, heading_deg)


def looks(position_ecef_m: Array, covariance_m2: Array, heading_deg: float, step_m: float) -> list[Candidate]:
    """Nadir points and headings that cover the horizontal ellipse of a predicted position, ``step_m`` apart; none when
    it is too large for that."""
    lat, lon, _ = geodetic_from_ecef(position_ecef_m)
    up, level = unit_from_latlon(lat, lon), ecef_from_ned(lat, lon)[:, :2]
    variance, axes = np.linalg.eigh(level.T @ covariance_m2 @ level)
    reach = _SIGMAS * np.sqrt(np.maximum(variance, 0.0))
    counts = np.ceil(np.maximum(reach - step_m / 2, 0) / step_m).astype(int)
    if np.prod(2 * counts + 1) > _MOST_LOOKS:
        return []
    first, second = (np.arange(-count, count + 1) * step_m for count in counts)
    offsets = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2) @ (level @ axes).T
    places = up + offsets / EARTH_RADIUS_M
    places /= np.linalg.norm(places, axis=1)[:, None]
    return [_candidate(place, heading_deg) for place in places]


def _candidate(unit: Array, heading_deg: float) -> Candidate:
    return Candidate((float(unit[0]), float(unit[1]), float(unit[2])), float(heading_deg % 360), 0)
