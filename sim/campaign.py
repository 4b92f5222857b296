"""A campaign: a scenario rendered, localized, judged and drawn, in one directory that a rerun completes."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from copy import copy
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from onboard.fix import Fix, Status
from onboard.geodesy import distance_m
from onboard.images import read_image
from sim.attitude import quat_wxyz
from sim.errors import SimError
from sim.footprint import outline_lonlat_deg, swath_m
from sim.picture import draw_campaign
from sim.record_log import Record, RecordLog, write_whole
from sim.renderer import Renderer
from sim.scenario import Scenario, Shot
from sim.statistics import campaign_statistics
from sim.texture import Mosaic

JPEG_QUALITY = 95
# What is known of the height of a near-circular orbit over an ellipsoid, beside the mission's own range.
ALTITUDE_SIGMA_M = 10e3


class FrameLocalizer(Protocol):
    """What a campaign asks of the runtime: `onboard.Localizer`."""

    def localize(self, frame: Any, *, altitude_m: tuple[float, float] | None = None) -> Fix: ...


def run_campaign(
    scenario: Scenario,
    mosaic: Mosaic,
    localizer: FrameLocalizer,
    out: Path,
    config: Record,
    workers: int | None = None,
) -> Record:
    """Fly a scenario into ``out``: frames/, truth.jsonl, fixes.jsonl, statistics.json, map.png, config.json.

    config: all that the result depends on, as JSON; a directory made with another one is refused (SimError), one made
    with the same is completed. workers: rendering threads (default: one a core); the result does not depend on them.
    Returns the statistics.
    """
    _claim(out, config)
    truths = _render(scenario, mosaic, out, workers or os.cpu_count() or 1)
    fixes = _localize(scenario, truths, localizer, out)
    swath = swath_m(scenario.mission.camera, scenario.mission.altitude_m)
    statistics = campaign_statistics(truths, fixes, swath)
    write_whole(out / "statistics.json", json.dumps(statistics, indent=1) + "\n")
    draw_campaign(out, scenario, mosaic, truths, fixes, statistics)
    return statistics


def _claim(out: Path, config: Record) -> None:
    """Make the directory this campaign's, or find that it is."""
    text = json.dumps(config, indent=1, allow_nan=False) + "\n"
    path = out / "config.json"
    if path.exists():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SimError(f"{path}: is no JSON ({error}); name another --out or remove it") from error
        wanted = json.loads(text)
        keys = [*wanted, *(key for key in there if key not in wanted)]
        differ = [key for key in keys if key != "versions" and there.get(key) != wanted.get(key)]
        if differ:
            raise SimError(
                f"{out}: holds another campaign (different: {', '.join(differ)}); name another --out, or remove it"
            )
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SimError(f"{out}: exists and is no campaign (no config.json); name another --out")
    (out / "frames").mkdir(parents=True)
    write_whole(path, text)


def _render(scenario: Scenario, mosaic: Mosaic, out: Path, workers: int) -> list[Record]:
    shots = scenario.shots()
    log = RecordLog(out / "truth.jsonl")
    missing = [shot for shot in shots if shot.index not in log.records or not (out / _file(shot)).exists()]
    if missing:
        first = Renderer(scenario.mission.camera, mosaic)
        own = threading.local()

        def render(shot: Shot) -> Record:
            if not hasattr(own, "renderer"):
                own.renderer = Renderer(first.camera, copy(mosaic), first.ocean)
            return _shoot(scenario, shot, own.renderer, out)

        with ThreadPoolExecutor(workers) as pool:
            jobs = [pool.submit(render, shot) for shot in missing]
            try:
                for job in _progress(as_completed(jobs), "render", len(jobs)):
                    log.append(job.result())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return log.finish()


def _shoot(scenario: Scenario, shot: Shot, renderer: Renderer, out: Path) -> Record:
    """Render one frame to its file; returns its truth."""
    seen = renderer.observe(
        shot.position_ecef_m, shot.ecef_from_cam, shot.sun_ecef, shot.look, scenario.noise(shot.index)
    )
    encoded, jpeg = cv2.imencode(".jpg", seen.frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise SimError(f"frame {shot.index} could not be encoded")
    write_whole(out / _file(shot), jpeg.tobytes())
    outline = outline_lonlat_deg(renderer.camera, shot.position_ecef_m, shot.ecef_from_cam)
    return {
        "index": shot.index,
        "file": _file(shot),
        "time_utc": np.datetime_as_string(shot.time, "us") + "Z",
        "position_ecef_m": [round(float(value), 3) for value in shot.position_ecef_m],
        "quat_ecef_from_cam_wxyz": list(quat_wxyz(shot.ecef_from_cam)),
        "lat_deg": round(shot.lat_deg, 7),
        "lon_deg": round(shot.lon_deg, 7),
        "altitude_m": round(shot.altitude_m, 2),
        "heading_deg": round(shot.heading_deg, 4),
        "sun_elevation_deg": round(shot.sun_elevation_deg, 3),
        "earth_share": round(seen.earth_share, 4),
        "mapped_share": round(seen.mapped_share, 4),
        "land_share": round(seen.land_share, 4),
        "cloud_cover": round(seen.cloud_cover, 4),
        "footprint_lonlat_deg": np.round(outline, 4).tolist(),
        "look": shot.look.as_dict(),
    }


def _localize(scenario: Scenario, truths: list[Record], localizer: FrameLocalizer, out: Path) -> list[Record]:
    low, high = scenario.mission.orbit.altitude_m
    altitude_m = (scenario.mission.altitude_m, float(np.hypot((high - low) / np.sqrt(12), ALTITUDE_SIGMA_M)))
    log = RecordLog(out / "fixes.jsonl")
    missing = [truth for truth in truths if truth["index"] not in log.records]
    for truth in _progress(missing, "localize", len(missing)):
        frame = read_image(out / truth["file"])
        start = time.perf_counter()
        fix = localizer.localize(frame, altitude_m=altitude_m)
        log.append(_fix_record(truth, fix, (time.perf_counter() - start) * 1e3))
    return log.finish()


def _fix_record(truth: Record, fix: Fix, latency_ms: float) -> Record:
    found = fix.status is Status.FIX
    record: Record = {
        "index": truth["index"],
        "status": fix.status.value,
        "reason": fix.reason,
        "lat_deg": None, "lon_deg": None, "altitude_m": None, "heading_deg": None, "sigma_m": None,
        "false_fix_probability": None, "error_m": None, "altitude_error_m": None, "normalised_error2": None,
        "inliers": fix.inliers,
        "votes": fix.votes,
        "latency_ms": round(latency_ms, 2),
    }  # fmt: skip
    if found:
        offset = np.asarray(fix.position_ecef_m) - truth["position_ecef_m"]
        error = float(distance_m(fix.lat_deg, fix.lon_deg, truth["lat_deg"], truth["lon_deg"]))
        record |= {
            "lat_deg": _finite(fix.lat_deg),
            "lon_deg": _finite(fix.lon_deg),
            "altitude_m": _finite(fix.altitude_m),
            "heading_deg": _finite(fix.heading_deg),
            "sigma_m": _finite(fix.sigma_m),
            "false_fix_probability": _finite(fix.false_fix_probability),
            "error_m": _finite(error),
            "altitude_error_m": _finite(fix.altitude_m - truth["altitude_m"]),
            "normalised_error2": _finite(_normalised(offset, fix.covariance_ecef_m2)),
        }
    return record


def _normalised(offset_m: NDArray, covariance_m2: NDArray) -> float:
    """Squared Mahalanobis length of a position error: chi-squared with three degrees of freedom if honest."""
    try:
        return float(offset_m @ np.linalg.solve(covariance_m2, offset_m))
    except np.linalg.LinAlgError:
        return float("nan")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _file(shot: Shot) -> str:
    return f"frames/{shot.index:06d}.jpg"


def _progress(items: Iterable, what: str, total: int) -> Iterator:
    yield from tqdm(items, desc=what, total=total, unit="frame", disable=not sys.stderr.isatty())
