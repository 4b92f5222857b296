"""The last word on a frame: what was recognised best is a fix, or there is none and a reason."""

from collections.abc import Sequence

import numpy as np

from onboard.acceptance import UNCALIBRATED, Acceptance
from onboard.fix import Fix, Status, no_fix
from onboard.geodesy import ecef_from_ned, geodetic_from_ecef, heading_deg_of
from onboard.pose import quat_from_matrix
from onboard.recognition import Recognition

JUDGED = (Status.FIX, Status.NO_MATCH, Status.AMBIGUOUS)  # any other status: the frame was not looked at to the end
APART_BINS = 4  # further from one another, two accepted places contradict each other


def judge(
    recognitions: Sequence[Recognition],
    acceptance: Acceptance,
    bin_m: float,
    timestamp_ns: int | None,
    timings_ms: dict[str, float],
) -> Fix:
    """Accept the best of what was recognised in a frame (heaviest first), or say why not. bin_m: of the votes."""
    best = recognitions[0] if recognitions else None
    recognised, votes = (best.recognised, best.agreement.candidate.votes) if best else (0, 0)

    def refuse(status: Status, reason: str) -> Fix:
        return no_fix(
            status, reason, inliers=recognised, votes=votes, timestamp_ns=timestamp_ns,
            timings_ms=timings_ms,
        )  # fmt: skip

    if best is None or not recognised:
        nothing = "no place shows any of its landmarks: cloud, water, or ground that looks otherwise on the map"
        return refuse(Status.NO_MATCH, nothing)
    shown = f"the best place shows {recognised} of its landmarks"
    if acceptance.nothing:
        return refuse(Status.NO_MATCH, f"{shown}, but {UNCALIBRATED}")
    if not acceptance.accepts(best.weight):
        asked = f"{acceptance.least_score:.1f} is asked for"
        return refuse(Status.NO_MATCH, f"{shown}, of weight {best.weight:.1f} (a quarter each in a line); {asked}")
    if best.pose is None:
        off = best.contradiction
        told = f"the {off.told} that caller, mission and camera file tell by {off.sigmas:.0f} sigmas"
        return refuse(Status.NO_MATCH, f"{shown}, but from a pose that contradicts {told}")
    for other in recognitions[1:]:
        if other.pose is None or not acceptance.accepts(other.weight):
            continue
        apart_m = float(np.linalg.norm(other.pose.position_ecef_m - best.pose.position_ecef_m))
        if apart_m > APART_BINS * bin_m:
            return refuse(
                Status.AMBIGUOUS,
                f"two places {apart_m / 1e3:.0f} km apart show {best.recognised} and {other.recognised} landmarks",
            )
    return _fix(best, acceptance.false_fix_probability(best.weight), timestamp_ns, timings_ms)


def _fix(best: Recognition, probability: float, timestamp_ns: int | None, timings_ms: dict[str, float]) -> Fix:
    pose = best.pose
    assert pose is not None
    lat, lon, alt = (float(value) for value in geodetic_from_ecef(pose.position_ecef_m))
    axes = ecef_from_ned(lat, lon)
    covariance = pose.covariance[:3, :3]
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
        inliers=best.recognised,
        votes=best.agreement.candidate.votes,
        timestamp_ns=timestamp_ns,
        timings_ms=timings_ms,
    )
