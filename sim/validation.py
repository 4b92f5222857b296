"""The simulator against a real camera: photographs rendered again where and when they were taken, and both measured."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from onboard.camera import Camera
from onboard.geodesy import distance_m, ecef_from_geodetic, ecef_from_nadir_camera
from onboard.identity import file_identity
from onboard.images import read_image
from onboard.localizer import Localizer
from onboard.whole_file import write_whole
from sim.campaign import claim
from sim.earth_frames import sun_ecef
from sim.errors import SimError
from sim.look import draw_look
from sim.record_log import Record, RecordLog
from sim.renderer import Renderer
from sim.season import season_of
from sim.texture import Mosaic
from sim.validation_comparison import compare
from sim.validation_measures import Gauge, Truth
from sim.validation_photographs import Photograph, headings_deg, read_photographs, table_of
from sim.validation_sheet import draw_sheet

# Cloud cover drawn for a label; any other label leaves the weather to chance.
COVER_OF_LABEL = {
    "land_clear": (0.0, 0.12),
    "land_partly_cloudy": (0.15, 0.6),
    "mostly_cloud": (0.6, 0.97),
    "ocean": (0.05, 0.85),
}
RIGHT_M = 25e3  # a fix this near to the recorded place is right


def validate(
    frames: Path, mosaic: Mosaic, localizer: Localizer, out: Path, config: Record, seed: int = 0
) -> dict[str, Any]:
    """Measure every photograph and its simulated twin; write real.jsonl, simulated.jsonl, frames/, comparison.json and
    sheet.png to ``out``. A rerun completes what is there.

    config: all that the result depends on beside the photographs, as JSON; a directory made with another one, or of
    other photographs, is refused (SimError).
    Returns the comparison (`validation_comparison.compare`).
    """
    photographs = read_photographs(frames)
    files = [table_of(frames), *(photo.path for photo in photographs)]
    claim(out, config | {"photographs": [file_identity(path) for path in files]})
    gauge = Gauge(localizer)
    real = _measure_real(photographs, gauge, out)
    simulated = _measure_simulated(photographs, real, mosaic, gauge, out, seed)
    comparison = compare(real, simulated)
    write_whole(out / "comparison.json", json.dumps(comparison, indent=1, allow_nan=False) + "\n")
    pairs = [(photo.path, out / record["simulated"], photo.label) for photo, record in zip(photographs, simulated)]
    draw_sheet(pairs, localizer.camera, out / "sheet.png")
    return comparison


def _measure_real(photographs: list[Photograph], gauge: Gauge, out: Path) -> list[Record]:
    fixes = RecordLog(out / "real_fixes.jsonl")
    left = [i for i in range(len(photographs)) if i not in fixes.records]
    for i in _progress(left, "locate photographs"):
        fixes.append(
            {"index": i, **_locate(_picture(photographs[i].path, gauge.camera), photographs[i], gauge.localizer)}
        )
    found = fixes.finish()
    headings = headings_deg(photographs, [fix["heading_deg"] if fix["solved"] else None for fix in found])
    log = RecordLog(out / "real.jsonl")
    left = [i for i in range(len(photographs)) if i not in log.records]
    for i in _progress(left, "measure photographs"):
        photo = photographs[i]
        truth = Truth(photo.lat_deg, photo.lon_deg, photo.altitude_m, headings[i])
        measures = gauge.measure(_picture(photo.path, gauge.camera), truth)
        log.append(
            {**found[i], "file": photo.path.name, "label": photo.label, "truth_heading_deg": headings[i], **measures}
        )
    return log.finish()


def _measure_simulated(
    photographs: list[Photograph], real: list[Record], mosaic: Mosaic, gauge: Gauge, out: Path, seed: int
) -> list[Record]:
    log = RecordLog(out / "simulated.jsonl")
    left = [i for i in range(len(photographs)) if i not in log.records]
    if left:
        renderer = Renderer(gauge.camera, mosaic)
        suns = sun_ecef(np.array([photo.time for photo in photographs]))
        for i in _progress(left, "simulate"):
            photo, heading = photographs[i], real[i]["truth_heading_deg"]
            frame = _simulate(renderer, photo, heading, suns[i], (seed, i))
            name = f"frames/{photo.path.stem}.png"
            encoded, png = cv2.imencode(".png", frame[..., ::-1])
            if not encoded:
                raise SimError(f"the simulated {photo.path.name} could not be encoded")
            write_whole(out / name, png.tobytes())
            truth = Truth(photo.lat_deg, photo.lon_deg, photo.altitude_m, heading)
            fix = _locate(frame, photo, gauge.localizer)
            log.append({"index": i, **fix, "simulated": name, "label": photo.label, **gauge.measure(frame, truth)})
    return log.finish()


def _simulate(
    renderer: Renderer, photo: Photograph, heading_deg: float, sun: NDArray[np.float64], seed: tuple[int, int]
) -> NDArray[np.uint8]:
    """A simulated picture of a photograph's place and time, looking straight down, its weather by the label."""
    rng = np.random.default_rng(seed)
    cover = COVER_OF_LABEL.get(photo.label)
    cloud_cover = None if cover is None else float(rng.uniform(*cover))
    look = draw_look(rng, photo.lat_deg, photo.lon_deg, cloud_cover, season=season_of(photo.time))
    position = ecef_from_geodetic(photo.lat_deg, photo.lon_deg, photo.altitude_m)
    rotation = ecef_from_nadir_camera(photo.lat_deg, photo.lon_deg, heading_deg)
    return renderer.render(position, rotation, sun, look, rng)


def _locate(frame: NDArray[np.uint8], photo: Photograph, localizer: Localizer) -> Record:
    fix = localizer.localize(frame, altitude_m=(photo.altitude_m, 10e3))
    answered = bool(np.isfinite(fix.lat_deg))
    error_m = float(distance_m(photo.lat_deg, photo.lon_deg, fix.lat_deg, fix.lon_deg)) if answered else None
    return {
        "status": fix.status.name,
        "solved": error_m is not None and error_m <= RIGHT_M,
        "wrong": error_m is not None and error_m > RIGHT_M,
        "error_m": error_m,
        "heading_deg": float(fix.heading_deg) if answered else None,
    }


def _picture(path: Path, camera: Camera) -> NDArray[np.uint8]:
    picture = read_image(path)
    if picture.shape[:2] != (camera.height, camera.width):
        raise SimError(
            f"{path} is {picture.shape[1]}x{picture.shape[0]}, the pack's camera {camera.width}x{camera.height}: "
            "name the pack of the camera that took it"
        )
    return picture


def _progress(items: list[int], what: str) -> Iterable[int]:
    return tqdm(items, desc=what, unit="picture", disable=not (items and sys.stderr.isatty()))
