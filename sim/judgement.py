"""The records of one frame: what is true of it, and the fix beside the truth."""

from dataclasses import dataclass

import numpy as np

from onboard.acceptance import Acceptance
from onboard.evidence import Evidence
from onboard.fix import Fix, Status
from onboard.geodesy import (
    Array,
    distance_m,
    ecef_from_ned,
    geodetic_from_ecef,
    intersect_ellipsoid,
    latlon_from_unit,
)
from onboard.pose import matrix_from_quat
from sim.attitude import quat_wxyz
from sim.record_log import Record
from sim.renderer import Observation
from sim.scenario import Shot, utc_text
from sim.subjects import shows_earth


@dataclass(frozen=True, eq=False)
class BestPlace:
    """The place that came nearest to being the fix, whether it became it or not. score: weight of the landmarks
    recognised, 0 where there was none; false_fix_probability: as the pack is calibrated, what a fix would have stated;
    position_ecef_m (3,) of the camera, None without a pose that agrees with what was told; aim_unit (3,): direction of
    the ground that the camera's axis meets, latitude at face value, None where nothing was recognised."""

    score: float
    false_fix_probability: float
    position_ecef_m: Array | None
    aim_unit: Array | None = None

    @classmethod
    def of(cls, evidence: Evidence, acceptance: Acceptance) -> "BestPlace":
        """What a frame was closest to."""
        if not evidence.recognitions:
            return cls(0.0, 1.0, None)
        best = evidence.recognitions[0]
        position = None if best.pose is None else best.pose.position_ecef_m
        aim = best.placement.unit if best.recognised else None
        return cls(best.weight, acceptance.false_fix_probability(best.weight), position, aim)

    def error_m(self, truth: Record) -> float | None:
        """How far it is from the true one along the ground: of the nadir points; where no pose agrees with what was
        told, of the aims. None where there is no place, or no truth."""
        if truth["position_ecef_m"] is None:
            return None
        if self.position_ecef_m is not None:
            lat, lon, _ = geodetic_from_ecef(self.position_ecef_m)
            return _finite(float(distance_m(lat, lon, truth["lat_deg"], truth["lon_deg"])))
        if self.aim_unit is None:
            return None
        axis = matrix_from_quat(np.array(truth["quat_ecef_from_cam_wxyz"]))[:, 2]
        lat, lon, _ = geodetic_from_ecef(intersect_ellipsoid(truth["position_ecef_m"], axis))
        return _finite(float(distance_m(*latlon_from_unit(self.aim_unit), lat, lon)))


def truth_record(shot: Shot, seen: Observation, outline_lonlat_deg: Array) -> Record:
    """A line of truth.jsonl. Where the frame does not show the Earth, place and footprint are null."""
    earthly = shows_earth(shot.subject)
    return {
        "index": shot.index,
        "group": shot.group,
        "subject": shot.subject,
        "flight": shot.flight,
        "file": f"frames/{shot.index:06d}.jpg",
        "time_utc": utc_text(shot.time),
        "position_ecef_m": np.round(shot.position_ecef_m, 3).tolist() if earthly else None,
        "quat_ecef_from_cam_wxyz": list(quat_wxyz(shot.ecef_from_cam)) if earthly else None,
        "lat_deg": round(shot.lat_deg, 7) if earthly else None,
        "lon_deg": round(shot.lon_deg, 7) if earthly else None,
        "altitude_m": round(shot.altitude_m, 2) if earthly else None,
        "heading_deg": round(shot.heading_deg, 4) if earthly else None,
        "off_nadir_deg": round(shot.off_nadir_deg, 4) if earthly else None,
        "sun_elevation_deg": round(shot.sun_elevation_deg, 3),
        "earth_share": round(seen.earth_share, 4),
        "mapped_share": round(seen.mapped_share, 4),
        "land_share": round(seen.land_share, 4),
        "cloud_cover": round(seen.cloud_cover, 4),
        "footprint_lonlat_deg": np.round(outline_lonlat_deg, 4).tolist() if earthly and seen.earth_share else None,
        "look": shot.look.as_dict(),
    }


def fix_record(truth: Record, fix: Fix, latency_ms: float, render_ms: float, best: BestPlace | None = None) -> Record:
    """A line of fixes.jsonl. Every estimate is null unless the status is FIX, every error unless there is a truth.

    best_score, best_probability, best_error_m: of ``best``, on every status; null where it is not known.

    error_m: along the ground between the nadir points; error_neu_m, sigma_neu_m: of the camera's position along
    north, east and up, and the fix's own 1-sigma; normalised_error2: e^T C^-1 e of the position, chi-squared with
    three degrees of freedom if the covariance C is honest.
    """
    record: Record = {
        "index": truth["index"], "status": fix.status.value, "reason": fix.reason,
        "lat_deg": None, "lon_deg": None, "altitude_m": None, "heading_deg": None, "sigma_m": None,
        "false_fix_probability": None, "error_m": None, "altitude_error_m": None, "error_neu_m": None,
        "sigma_neu_m": None, "normalised_error2": None,
        "best_score": None, "best_probability": None, "best_error_m": None,
        "inliers": fix.inliers, "votes": fix.votes,
        "latency_ms": round(latency_ms, 2), "render_ms": round(render_ms, 2),
    }  # fmt: skip
    if best is not None:
        record |= {
            "best_score": round(best.score, 3),
            "best_probability": best.false_fix_probability,
            "best_error_m": best.error_m(truth),
        }
    if fix.status is not Status.FIX:
        return record
    for name in ("lat_deg", "lon_deg", "altitude_m", "heading_deg", "sigma_m", "false_fix_probability"):
        record[name] = _finite(getattr(fix, name))
    if truth["position_ecef_m"] is None:
        return record
    covariance = np.asarray(fix.covariance_ecef_m2, np.float64)
    offset = np.asarray(fix.position_ecef_m) - truth["position_ecef_m"]
    neu = ecef_from_ned(truth["lat_deg"], truth["lon_deg"]) * [1, 1, -1]
    error = distance_m(fix.lat_deg, fix.lon_deg, truth["lat_deg"], truth["lon_deg"])
    with np.errstate(invalid="ignore"):
        sigma = np.sqrt(np.diag(neu.T @ covariance @ neu))
    return record | {
        "error_m": _finite(float(error)),
        "altitude_error_m": _finite(fix.altitude_m - truth["altitude_m"]),
        "error_neu_m": [_finite(value) for value in offset @ neu],
        "sigma_neu_m": [_finite(value) for value in sigma],
        "normalised_error2": _finite(_normalised(offset, covariance)),
    }


def _normalised(offset_m: Array, covariance_m2: Array) -> float:
    try:
        return float(offset_m @ np.linalg.solve(covariance_m2, offset_m))
    except np.linalg.LinAlgError:
        return float("nan")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
