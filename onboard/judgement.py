"""The last word on a frame: the best hypothesis is a fix, or there is none and a reason."""

from collections.abc import Sequence

import numpy as np

from onboard.acceptance import Acceptance
from onboard.fix import Fix, Status, no_fix
from onboard.geodesy import ecef_from_ned, geodetic_from_ecef, heading_deg_of
from onboard.hypothesis import Hypothesis
from onboard.pose import quat_from_matrix
from onboard.voting import Candidate

APART_BINS = 4  # further from one another, two accepted places contradict each other
# Of a right fix's inliers one or two are wrong, however many there are, and they pull at the pose. With few inliers its
# covariance, which takes all of them for right, is too small by a factor 1 + _WIDENED / inliers (docs/results.md).
_WIDENED = 20.0
_NOTHING = Hypothesis(Candidate((0.0, 0.0, 1.0), 0.0, 0), None, 0, 0.0)


def judge(
    hypotheses: Sequence[Hypothesis],
    acceptance: Acceptance,
    bin_m: float,
    timestamp_ns: int | None,
    timings_ms: dict[str, float],
) -> Fix:
    """Accept the best of a frame's hypotheses (best score first), or say why not. bin_m: of the votes."""
    best = hypotheses[0] if hypotheses else _NOTHING

    def refuse(status: Status, reason: str) -> Fix:
        return no_fix(
            status, reason, inliers=best.inliers, votes=best.candidate.votes, timestamp_ns=timestamp_ns,
            timings_ms=timings_ms,
        )  # fmt: skip

    if best.pose is None or not acceptance.accepts(best.score):
        asked = acceptance.least_score
        return refuse(Status.NO_MATCH, f"the best place scores {best.score:.1f}, {asked:.1f} is asked for")
    for other in hypotheses[1:]:
        if other.pose is None or not acceptance.accepts(other.score):
            continue
        apart_m = float(np.linalg.norm(other.pose.position_ecef_m - best.pose.position_ecef_m))
        if apart_m > APART_BINS * bin_m:
            return refuse(
                Status.AMBIGUOUS,
                f"two places {apart_m / 1e3:.0f} km apart score {best.score:.1f} and {other.score:.1f}",
            )
    return _fix(best, acceptance.false_fix_probability(best.score), timestamp_ns, timings_ms)


def _fix(best: Hypothesis, probability: float, timestamp_ns: int | None, timings_ms: dict[str, float]) -> Fix:
    pose = best.pose
    assert pose is not None
    lat, lon, alt = (float(value) for value in geodetic_from_ecef(pose.position_ecef_m))
    axes = ecef_from_ned(lat, lon)
    covariance = pose.covariance[:3, :3] * (1 + _WIDENED / best.inliers)
    return Fix(
        Status.FIX,
        lat_deg=lat,
        lon_deg=lon,
        altitude_m=alt,
        heading_deg=heading_deg_of(pose.ecef_from_cam, lat, lon),
        sigma_m=float(np.sqrt(np.linalg.eigvalsh(covariance[:2, :2])[-1])),
        position_ecef_m=pose.position_ecef_m,
        covariance_ecef_m2=axes @ covariance @ axes.T,
        quat_ecef_from_cam_wxyz=quat_from_matrix(pose.ecef_from_cam),
        false_fix_probability=probability,
        inliers=best.inliers,
        votes=best.candidate.votes,
        timestamp_ns=timestamp_ns,
        timings_ms=timings_ms,
    )
