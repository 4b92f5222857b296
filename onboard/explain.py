"""Why a frame got its fix or none: the evidence of the localizer put into places, tests and pairs that can be read."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.evidence import Evidence
from onboard.fix import Fix, Status
from onboard.geodesy import (
    Array,
    geodetic_from_ecef,
    heading_deg_of,
    intersect_ellipsoid,
    unit_from_latlon,
)
from onboard.hypothesis import Hypothesis
from onboard.hypothesis_fit import FEWEST_INLIERS
from onboard.intake import DARK_LEVEL, NIGHT_LEVEL, NIGHT_SPREAD, SATURATED_LEVEL, SHARE
from onboard.judgement import APART_BINS
from onboard.localizer import FEWEST_FEATURES, Localizer
from onboard.matches import Matches
from onboard.verification import Consensus


@dataclass(frozen=True)
class Place:
    """A place that was considered: where the camera's axis meets the ground there, and the heading of the picture.

    votes: distinct witnesses; matches: mutual nearest neighbours of frame and place; agreeing: of these, in one
    constrained consensus, and ``weight`` theirs; inliers and score: after the whole pose was fitted, None where none
    was (only the heaviest agreements are fitted) or nothing held.
    """

    lat_deg: float
    lon_deg: float
    heading_deg: float
    votes: int
    matches: int
    agreeing: int
    weight: float
    inliers: int | None
    score: float | None

    @property
    def unit(self) -> Array:
        """Direction (3,) from the Earth's centre, latitude at face value."""
        return unit_from_latlon(self.lat_deg, self.lon_deg)


@dataclass(frozen=True)
class Check:
    """One test of the pipeline in words and numbers; passed is None where it was not reached or asks for nothing."""

    name: str
    passed: bool | None
    text: str


@dataclass(frozen=True, eq=False)
class Pairs:
    """Matches of the frame with the best place, heaviest first: feature and landmark numbers int64 (K,), their weights
    float32 (K,), and which of them agree on one pose, bool (K,)."""

    matches: Matches
    weight: NDArray[np.float32]
    agrees: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Explanation:
    """places: all that were verified, best first; checks: in the order of the pipeline; pairs: of the best place."""

    fix: Fix
    places: tuple[Place, ...]
    checks: tuple[Check, ...]
    pairs: Pairs


def explain(localizer: Localizer, evidence: Evidence) -> Explanation:
    """Put the evidence of one frame (`Localizer.examine`) into words and numbers."""
    fitted = {id(hypothesis.candidate): hypothesis for hypothesis in evidence.hypotheses}
    rank = {id(hypothesis.candidate): number for number, hypothesis in enumerate(evidence.hypotheses)}
    ordered = sorted(evidence.agreements, key=lambda agreement: rank.get(id(agreement.candidate), len(rank)))
    places = tuple(_place(agreement, fitted.get(id(agreement.candidate))) for agreement in ordered)
    pairs = _pairs(ordered[0], fitted.get(id(ordered[0].candidate))) if ordered else _no_pairs()
    return Explanation(evidence.fix, places, tuple(_checks(localizer, evidence, places)), pairs)


def to_plain(explanation: Explanation, localizer: Localizer, evidence: Evidence) -> dict[str, Any]:
    """All of it as JSON would have it; what is not a number is None."""
    matches, view = explanation.pairs.matches, evidence.view
    pixels = np.empty((0, 2)) if view is None else view.pixels[matches.feature]
    catalogue = localizer.catalogue
    columns = (
        pixels.round(1).tolist(), matches.landmark.tolist(), catalogue.lat_deg[matches.landmark].tolist(),
        catalogue.lon_deg[matches.landmark].tolist(), explanation.pairs.weight.tolist(),
        explanation.pairs.agrees.tolist(),
    )  # fmt: skip
    fix, screening = evidence.fix, evidence.screening
    return {
        "status": fix.status.value,
        "reason": fix.reason or None,
        "lat_deg": _number(fix.lat_deg),
        "lon_deg": _number(fix.lon_deg),
        "sigma_m": _number(fix.sigma_m),
        "false_fix_probability": _number(fix.false_fix_probability),
        "altitude_m": evidence.known.altitude_m if evidence.known else None,
        "screening": asdict(screening) if screening else None,
        "features": None if view is None else len(view),
        "checks": [asdict(check) for check in explanation.checks],
        "places": [asdict(place) for place in explanation.places],
        "pairs": [
            {"pixel": pixel, "landmark": number, "lat_deg": lat, "lon_deg": lon, "weight": weight, "agrees": agrees}
            for pixel, number, lat, lon, weight, agrees in zip(*columns)
        ],
        "timings_ms": fix.timings_ms,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _place(agreement: Consensus, hypothesis: Hypothesis | None) -> Place:
    candidate = agreement.candidate
    x, y, z = candidate.unit
    lat, lon = math.degrees(math.asin(max(-1.0, min(1.0, z)))), math.degrees(math.atan2(y, x))
    heading = candidate.heading_deg
    pose = hypothesis.pose if hypothesis else None
    if pose is not None:
        axis = intersect_ellipsoid(pose.position_ecef_m, pose.ecef_from_cam[:, 2])
        if np.isfinite(axis).all():
            lat, lon = (float(value) for value in geodetic_from_ecef(axis)[:2])
            heading = heading_deg_of(pose.ecef_from_cam, lat, lon)
    held = hypothesis if pose is not None else None
    return Place(
        lat, lon, heading, candidate.votes, len(agreement.matches), int(agreement.agree.sum()),
        agreement.support, held.inliers if held else None, held.score if held else None,
    )  # fmt: skip


def _pairs(agreement: Consensus, hypothesis: Hypothesis | None) -> Pairs:
    agrees = agreement.agree
    if hypothesis is not None and hypothesis.pose is not None:
        agrees = np.isin(agreement.matches.keys(), hypothesis.agreeing.keys())
    order = np.lexsort((-agreement.weight, ~agrees))
    return Pairs(agreement.matches[order], agreement.weight[order], agrees[order])


def _no_pairs() -> Pairs:
    none = np.empty(0, np.int64)
    return Pairs(Matches(none, none), np.empty(0, np.float32), np.empty(0, bool))


def _checks(localizer: Localizer, evidence: Evidence, places: tuple[Place, ...]) -> list[Check]:
    fix, camera, view = evidence.fix, evidence.camera, evidence.view
    checks = []
    if camera is not None:
        checks.append(Check("picture", True, f"{camera.width} x {camera.height} of camera {camera.name}"))
    elif fix.status is Status.BAD_FRAME:
        checks.append(Check("picture", False, fix.reason))
    checks += _screening_checks(evidence)
    if view is None:
        checks.append(Check("features", None, "not looked for"))
    else:
        enough = len(view) >= FEWEST_FEATURES
        checks.append(Check("features", enough, f"{len(view)} found, at least {FEWEST_FEATURES} are asked for"))
    if len(evidence.worldwide):
        text = f"{len(evidence.worldwide)} nearest landmarks of {len(localizer.catalogue)} worldwide"
        checks.append(Check("look-up", None, text))
    if places:
        checks += _place_checks(localizer, evidence, places)
    elif len(evidence.worldwide) and fix.status is not Status.TIMEOUT:
        checks.append(Check("votes", False, "no two of them propose one place"))
    if fix.status in (Status.TIMEOUT, Status.PACK_CORRUPT) or (fix.status is Status.BAD_FRAME and camera):
        # Nothing of the frame failed: time, memory, or a mistake of ours.
        checks.append(Check(fix.status.value.lower().replace("_", " "), False, fix.reason))
    stages = ", ".join(f"{name} {spent:.0f}" for name, spent in fix.timings_ms.items() if name != "total")
    if stages:
        checks.append(Check("time", None, f"{fix.timings_ms['total']:.0f} ms: {stages}"))
    return checks


def _screening_checks(evidence: Evidence) -> list[Check]:
    seen = evidence.screening
    if seen is None:
        return []
    dark = f"brightest {1 - SHARE:.0%} from grey level {seen.high:.0f}, at least {DARK_LEVEL} is asked for"
    if seen.high < NIGHT_LEVEL:
        dark += f"; below {NIGHT_LEVEL} a spread of {NIGHT_SPREAD}, here {seen.high - seen.low:.0f}"
    bright = f"{seen.saturated:.1%} of the pixels above {SATURATED_LEVEL}, at most {SHARE:.0%} are allowed"
    return [Check("light", not seen.dark, dark), Check("saturation", not seen.overexposed, bright)]


def _place_checks(localizer: Localizer, evidence: Evidence, places: tuple[Place, ...]) -> list[Check]:
    best, acceptance = places[0], localizer.acceptance
    most = max(place.votes for place in places)
    score = best.score or 0.0
    agreeing = best.agreeing if best.inliers is None else best.inliers
    likely = acceptance.false_fix_probability(score)
    checks = [
        Check("votes", None, f"{best.votes} for the best place, {most} for the most voted of {len(places)} verified"),
        Check("matches", None, f"{best.matches} pairs are nearest to each other at the best place"),
        Check(
            "agreement", best.score is not None,
            f"{agreeing} distinct places in one pose, at least {FEWEST_INLIERS} are asked for"
            if best.score is not None
            else f"{agreeing} pairs in one turn, scale and shift, but no pose holds {FEWEST_INLIERS} of them",
        ),
        Check("score", acceptance.accepts(score), f"{score:.1f}, at least {acceptance.least_score:.1f} is asked for"),
        Check(
            "chance", acceptance.accepts(score),
            f"a frame of nothing known scores so with probability {likely:.2g};"
            f" at most {acceptance.limit:.2g} is allowed",
        ),
    ]  # fmt: skip
    if best.score is not None:
        checks.append(_runner_up(localizer, evidence.hypotheses))
    return checks


def _runner_up(localizer: Localizer, hypotheses: Sequence[Hypothesis]) -> Check:
    """Whether a place elsewhere would be accepted as well."""
    fitted = [(other.score, other.pose) for other in hypotheses if other.pose is not None]
    best, least_m = fitted[0][1], APART_BINS * localizer.search.bin_m
    for score, pose in fitted[1:]:
        apart_m = float(np.linalg.norm(pose.position_ecef_m - best.position_ecef_m))
        if apart_m > least_m:
            text = f"best place elsewhere scores {score:.1f}, {apart_m / 1e3:.0f} km away"
            return Check("runner-up", not localizer.acceptance.accepts(score), text)
    return Check("runner-up", True, f"no pose holds farther than {least_m / 1e3:.0f} km away")
