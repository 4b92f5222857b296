"""Simulated frames at places all over the land, with the map around each: what networks for keypoints learn from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.regions import held_out
from onboard.camera import Camera
from onboard.plugins import service

# 413 km across from 405 km, as finely as a catalogue of a kilometre a pixel needs.
CAMERA = Camera(640, 480, 628.0, 628.0, 319.5, 239.5, name="training")
ALTITUDE_M = 405e3
_MARGIN_PX = 40  # of the map beyond what a camera that looks straight down sees


@dataclass(frozen=True)
class LookSettings:
    """gsd_m: of the catalogue; places: how many; looks: simulated frames at each; altitude_share: how far the true
    altitude is from the nominal one, at most."""

    gsd_m: float = 930.0
    places: int = 1200
    looks: int = 4
    latitude_band_deg: tuple[float, float] = (-60.0, 72.0)
    seed: int = 0
    altitude_share: float = 0.01
    places_a_shard: int = 50


class TrainingLook(NamedTuple):
    """A frame (H, W, 3), its truth (`sim.batch.Truth`), the map around it (what the service ``local_map`` returns), and
    whether its place is held out from training."""

    frame: NDArray[np.uint8]
    truth: Any
    chart: Any
    held_out: bool


def training_looks(
    mosaic_paths: list[Path], settings: LookSettings, places: range, progress: Callable[[int], None]
) -> Iterator[TrainingLook]:
    """The looks at some of the places, in order; those that would see into a region held out are left out.
    ``progress`` is told each place."""
    mosaic, read_map = service("mosaic")(*mosaic_paths), service("local_map")
    spread = settings.altitude_share * ALTITUDE_M
    draw = service("land_looks")(
        (ALTITUDE_M - spread, ALTITUDE_M + spread), settings.latitude_band_deg, looks=settings.looks
    )
    stream = service("frames")(
        CAMERA, tuple(mosaic_paths), draw, settings.seed, workers=None, chunk=settings.looks,
        start=places.start * settings.looks, stop=places.stop * settings.looks,
    )  # fmt: skip
    reach_m = np.hypot(CAMERA.width, CAMERA.height) / 2 / CAMERA.fx * ALTITUDE_M
    half = int(np.ceil(reach_m / settings.gsd_m)) + _MARGIN_PX
    chart: Any = None
    for frame, truth, _ in stream:
        place, look = divmod(truth.index, settings.looks)
        if look == 0:
            chart = read_map(mosaic, (truth.lat_deg, truth.lon_deg), settings.gsd_m, half, half)
            progress(place)
        held = held_out(truth.lat_deg, truth.lon_deg)
        if chart is not None and (held or not held_out(truth.lat_deg, truth.lon_deg, half * settings.gsd_m)):
            yield TrainingLook(frame, truth, chart, held)
