"""Acceptance from mirrored maps: pictures as hard as real ones, of places that are nowhere on Earth."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from index_builder.crew import Crew, on_all_cores
from index_builder.mosaic import Mosaic
from index_builder.provenance import CODE
from index_builder.tiles import land_places, read_map
from onboard.clock import Clock
from onboard.errors import MosaicError
from onboard.evidence import Evidence
from onboard.fix import Prior
from onboard.identity import code_sha256
from onboard.localizer import Localizer
from onboard.matches import View
from onboard.pack import MANIFEST
from onboard.pose import PoseKnowledge
from onboard.rectify import Rectified, rectifier

_TOLD_M = 50e3  # 1-sigma of a told place


@dataclass(frozen=True, eq=False)
class WrongPlaces:
    """The best of views that show no place of a pack: scores (N,) of agreements, weights (N,) of the
    landmarks recognised, told nothing or the ground that they mirror, whichever is more."""

    scores: NDArray[np.float64]
    weights: NDArray[np.float64]


def wrong_places(
    mosaic: Mosaic,
    pack: Path,
    frames: int,
    seed: int,
    kept: Path,
    progress: Callable[[int, int], None],
    crew: Crew = on_all_cores,
) -> WrongPlaces:
    """What the pack makes of mirrored views of random land, none of which shows a place of it.

    A mirrored map has the texture, the coasts and the rivers of the Earth, and no similarity without reflection
    maps it back. A view has most in common with the very ground that it mirrors, so that to be told that place, where
    all landmarks are looked at, is the hardest that can be told; the limit must hold there, too.

    kept: a folder in which finished views are written down, not to be looked at again by the same code.
    """
    band = Localizer(pack).mission.latitude_band_deg
    log = kept / f"{_fingerprint(pack, seed)}.jsonl"
    scores = _written(log)
    jobs = [
        (number, place, seed + number)
        for number, place in enumerate(land_places(mosaic, frames, band, seed))
        if number not in scores
    ]
    progress(frames - len(jobs), frames)
    kept.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream:
        finished = crew(_score, jobs, _start_worker, mosaic, pack)
        for done, (number, *found) in enumerate(finished, frames - len(jobs) + 1):
            scores[number] = found
            stream.write(json.dumps([number, *found]) + "\n")
            stream.flush()
            progress(done, frames)
    return WrongPlaces(*np.array([scores[number] for number in range(frames)], np.float64).T)


def _fingerprint(pack: Path, seed: int) -> str:
    """Of what a view's scores depend on: the pack, every byte of which its manifest names, the seed, and the code."""
    told = (pack / MANIFEST).read_bytes() + f"{seed} {code_sha256(*CODE)}".encode()
    return hashlib.sha256(told).hexdigest()[:16]


def _written(log: Path) -> dict[int, list[float]]:
    """Scores by number of view; a line that was cut off is none."""
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.exists() else []
    if lines and not lines[-1].endswith("\n"):
        log.write_text("".join(lines[:-1]), encoding="utf-8")
    return {number: found for number, *found in (json.loads(line) for line in lines if line.endswith("\n"))}


_worker: dict = {}


def _start_worker(mosaic: Mosaic, pack: Path) -> None:
    cv2.setNumThreads(1)  # there is a process a core
    threadpool_limits(1)  # of BLAS and of faiss
    _worker.update(mosaic=mosaic, localizer=Localizer(pack))


def _score(job: tuple[int, tuple[float, float], int]) -> tuple[int, float, float]:
    number, place, seed = job
    localizer: Localizer = _worker["localizer"]
    rectified = mirrored_view(_worker["mosaic"], localizer, place, np.random.default_rng(seed))
    view = localizer.view_of_rectified(rectified, localizer.camera)
    told = localizer.knowledge(prior=Prior(*place, _TOLD_M))
    score, weight = _best(localizer, view, localizer.knowledge())
    return number, score, max(weight, _best(localizer, view, told)[1])


def _best(localizer: Localizer, view: View, known: PoseKnowledge) -> tuple[float, float]:
    """Of the agreements of a view, and of the landmarks recognised in it, the most. Only what a fix could be made of: a
    pose that contradicts what was told never is one."""
    evidence = Evidence(Clock(None), thorough=True)
    found = localizer.recognitions(view, localizer.camera, known, evidence)
    weight = max((one.weight for one in found if one.pose), default=0.0)
    return evidence.hypotheses[0].score if evidence.hypotheses else 0.0, weight


def mirrored_view(
    mosaic: Mosaic, localizer: Localizer, place: tuple[float, float], rng: np.random.Generator
) -> Rectified:
    """What the mission's camera would see of mirrored land, rectified: any heading, another contrast, some noise."""
    shape = rectifier(localizer.camera, localizer.knowledge().plane, localizer.mission.gsd_m)
    height, width = shape.mask.shape
    right, down = np.maximum(shape.centre_px, np.array([width, height]) - shape.centre_px)
    half = int(np.ceil(np.hypot(right, down))) + 2
    local = read_map(mosaic, place, localizer.mission.gsd_m, half, half)
    if local is None:
        raise MosaicError(f"no land is shown around {place[0]:.2f} N {place[1]:.2f} E, where the mosaic has some")
    turn = cv2.getRotationMatrix2D((float(half), float(half)), float(rng.uniform(0, 360)), 1.0)
    turn[:, 2] += np.array(shape.centre_px) - half
    picture = cv2.warpAffine(local.rgb[:, ::-1], turn, (width, height), flags=cv2.INTER_LINEAR)
    level = (picture / 255.0) ** rng.uniform(0.6, 1.4) @ rng.dirichlet([3, 3, 3], size=3).T
    noisy = level * 200 + 20 + rng.normal(0, rng.uniform(0.5, 3), level.shape)
    return Rectified(noisy.clip(0, 255).astype(np.uint8), shape.mask, shape.gsd_m, shape.centre_px, shape.plane)
