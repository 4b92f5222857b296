"""Why a frame got its fix or none: the evidence of the localizer put into places, tests and pairs that can be read."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.evidence import Evidence
from onboard.fix import Fix, Status
from onboard.geodesy import (
    Array,
    geodetic_from_ecef,
    heading_deg_of,
    intersect_ellipsoid,
    latlon_from_unit,
    unit_from_latlon,
)
from onboard.intake import DARK_LEVEL, NIGHT_LEVEL, NIGHT_SPREAD, SATURATED_LEVEL, SHARE
from onboard.judgement import APART_BINS
from onboard.localizer import FEWEST_FEATURES, Localizer
from onboard.matches import View
from onboard.recognition import CREDIBLE_SIGMAS, Recognition
from onboard.verification import Consensus


@dataclass(frozen=True)
class Place:
    """A place that was considered: where the camera's axis meets the ground there, and the heading of the picture.

    recognised: landmarks that the frame shows where the pose has them, in distinct spots, None where they were not
    looked for one by one; votes: distinct witnesses; matches: mutual nearest neighbours of frame and place; agreeing:
    of these, in one constrained consensus, and ``weight`` theirs.
    """

    lat_deg: float
    lon_deg: float
    heading_deg: float
    recognised: int | None
    votes: int
    matches: int
    agreeing: int
    weight: float

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
    """What ties the frame to the best place: landmark numbers int64 (K,), where the camera saw each in its own pixels
    (K, 2), and which of them agree on one pose, bool (K,)."""

    landmark: NDArray[np.int64]
    pixels: Array
    agrees: NDArray[np.bool_]

    def ground_m(self, camera: Camera, view: View) -> Array:
        """Ground offsets (K, 2) in a view of the camera, metres right and down."""
        return view.plane.from_camera(camera.rays(self.pixels))


@dataclass(frozen=True, eq=False)
class Explanation:
    """places: those looked at landmark by landmark, most recognised first, then the others that were verified, heaviest
    agreement first; checks: in the order of the pipeline; pairs: of the best place."""

    fix: Fix
    places: tuple[Place, ...]
    checks: tuple[Check, ...]
    pairs: Pairs


def explain(localizer: Localizer, evidence: Evidence) -> Explanation:
    """Put the evidence of one frame (`Localizer.examine`) into words and numbers."""
    looked_at = {id(recognition.agreement) for recognition in evidence.recognitions}
    others = [agreement for agreement in evidence.agreements if id(agreement) not in looked_at]
    places = (*map(_recognised_place, evidence.recognitions), *map(_agreeing_place, others))
    return Explanation(evidence.fix, places, tuple(_checks(localizer, evidence)), _pairs(evidence))


def to_plain(explanation: Explanation, localizer: Localizer, evidence: Evidence) -> dict[str, Any]:
    """All of it as JSON would have it; what is not a number is None."""
    pairs, catalogue = explanation.pairs, localizer.catalogue
    columns = (
        pairs.pixels.round(1).tolist(), pairs.landmark.tolist(), catalogue.lat_deg[pairs.landmark].tolist(),
        catalogue.lon_deg[pairs.landmark].tolist(), pairs.agrees.tolist(),
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
        "features": None if evidence.view is None else len(evidence.view),
        "checks": [asdict(check) for check in explanation.checks],
        "places": [asdict(place) for place in explanation.places],
        "pairs": [
            {"pixel": pixel, "landmark": number, "lat_deg": lat, "lon_deg": lon, "agrees": agrees}
            for pixel, number, lat, lon, agrees in zip(*columns)
        ],
        "timings_ms": fix.timings_ms,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _recognised_place(recognition: Recognition) -> Place:
    lat, lon, heading = _aim(recognition)
    return Place(lat, lon, heading, recognition.recognised, *_of_agreement(recognition.agreement))


def _agreeing_place(agreement: Consensus) -> Place:
    candidate = agreement.candidate
    lat, lon = latlon_from_unit(candidate.unit)
    return Place(lat, lon, candidate.heading_deg, None, *_of_agreement(agreement))


def _of_agreement(agreement: Consensus) -> tuple[int, int, int, float]:
    return agreement.candidate.votes, len(agreement.matches), int(agreement.agree.sum()), agreement.support


def _aim(recognition: Recognition) -> tuple[float, float, float]:
    """Latitude, longitude and heading where the camera's axis meets the ground: by the pose, or the placement where
    none holds."""
    pose, placement = recognition.pose, recognition.placement
    if pose is not None:
        axis = intersect_ellipsoid(pose.position_ecef_m, pose.ecef_from_cam[:, 2])
        if np.isfinite(axis).all():
            lat, lon = (float(value) for value in geodetic_from_ecef(axis)[:2])
            return lat, lon, heading_deg_of(pose.ecef_from_cam, lat, lon)
    return *latlon_from_unit(placement.unit), placement.heading_deg


def _pairs(evidence: Evidence) -> Pairs:
    """The landmarks of the best recognition; where nothing was recognised, the matches of the heaviest agreement."""
    if evidence.recognitions and (best := evidence.recognitions[0]).recognised:
        return Pairs(best.landmarks, best.pixels, np.ones(len(best.landmarks), bool))
    if not evidence.agreements or evidence.view is None:
        return Pairs(np.empty(0, np.int64), np.empty((0, 2)), np.empty(0, bool))
    heaviest = evidence.agreements[0]
    order = np.lexsort((-heaviest.weight, ~heaviest.agree))
    matches = heaviest.matches[order]
    return Pairs(matches.landmark, evidence.view.pixels[matches.feature], heaviest.agree[order])


def _checks(localizer: Localizer, evidence: Evidence) -> list[Check]:
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
    judged = fix.status in (Status.FIX, Status.NO_MATCH, Status.AMBIGUOUS)
    if judged or len(evidence.worldwide):
        text = f"the {len(evidence.worldwide)} likeliest matches with {len(localizer.catalogue)} landmarks worldwide"
        checks.append(Check("look-up", None, text))
    if evidence.agreements:
        checks += _agreement_checks(evidence.agreements)
    if judged:
        checks += _recognition_checks(localizer, evidence.recognitions)
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


def _agreement_checks(agreements: Sequence[Consensus]) -> list[Check]:
    heaviest = agreements[0]
    most = max(agreement.candidate.votes for agreement in agreements)
    votes = f"{most} for the most voted, {heaviest.candidate.votes} for the best; places verified: {len(agreements)}"
    agreeing = (
        f"{heaviest.agree.sum()} of {len(heaviest.matches)} pairs in one turn, scale and shift at the best of these,"
        f" of weight {heaviest.support:.1f}"
    )
    return [Check("votes", None, votes), Check("agreement", None, agreeing)]


def _recognition_checks(localizer: Localizer, recognitions: Sequence[Recognition]) -> list[Check]:
    acceptance = localizer.acceptance
    best = recognitions[0] if recognitions else None
    count, weight = (best.recognised, best.weight) if best else (0, 0.0)
    shown = acceptance.accepts(weight)
    text = (
        f"{count} landmarks in distinct spots seen where the pose has them, of weight {weight:.1f} (a quarter each in"
        f" a line), at least {acceptance.least_score:.1f} is asked for; the best of {len(recognitions)} looked at"
    )
    likely = acceptance.false_fix_probability(weight)
    chance = (
        f"a frame of nothing known shows as much with probability {likely:.2g};"
        f" at most {acceptance.limit:.2g} is allowed"
    )
    checks = [Check("recognition", shown, text), Check("chance", shown, chance)]
    if best and shown:
        off = best.contradiction
        text = f"the landmarks alone give a pose {off.sigmas:.1f} sigmas off the told {off.told}"
        checks.append(Check("told", best.pose is not None, f"{text}; at most {CREDIBLE_SIGMAS:g} are allowed"))
        if best.pose is not None:
            checks.append(_runner_up(localizer, recognitions))
    return checks


def _runner_up(localizer: Localizer, recognitions: Sequence[Recognition]) -> Check:
    """Whether a place elsewhere would be accepted as well."""
    held = [(other, other.pose) for other in recognitions if other.pose is not None]
    best, least_m = held[0][1], APART_BINS * localizer.search.bin_m
    for other, pose in held[1:]:
        apart_m = float(np.linalg.norm(pose.position_ecef_m - best.position_ecef_m))
        if apart_m > least_m:
            text = (
                f"the best place elsewhere shows {other.recognised} landmarks of weight {other.weight:.1f},"
                f" {apart_m / 1e3:.0f} km away"
            )
            return Check("runner-up", not localizer.acceptance.accepts(other.weight), text)
    return Check("runner-up", True, f"no pose holds farther than {least_m / 1e3:.0f} km away")
