"""Simulated frames at places all over the land, with the map around each: what networks for keypoints learn from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.plugins import service

# 413 km across from 405 km, as finely as a catalogue of a kilometre a pixel needs.
CAMERA = Camera(640, 480, 628.0, 628.0, 319.5, 239.5, name="training")
_MARGIN_PX = 40  # of the map beyond what a camera that looks straight down sees


@dataclass(frozen=True)
class LookSettings:
    """gsd_m: of the catalogue; altitude_m: the nominal one; places: how many; looks: simulated frames at each;
    altitude_share: how far the true altitude is from the nominal one, at most."""

    gsd_m: float = 930.0
    altitude_m: float = 405e3
    places: int = 1200
    looks: int = 4
    latitude_band_deg: tuple[float, float] = (-60.0, 72.0)
    seed: int = 0
    altitude_share: float = 0.01
    places_a_shard: int = 50


class TrainingLook(NamedTuple):
    """A frame (H, W, 3), its truth (`sim.batch.Truth`), and the map around it (what the service ``local_map``
    returns)."""

    frame: NDArray[np.uint8]
    truth: Any
    chart: Any


class Earths(NamedTuple):
    """Mosaics that frames are rendered from, and of which the map is made: the same ones, or of two seasons."""

    seen: tuple[Path, ...]
    mapped: tuple[Path, ...]


def training_looks(
    earths: Earths, settings: LookSettings, places: range, progress: Callable[[int], None]
) -> Iterator[TrainingLook]:
    """The looks at some of the places, in order. ``progress`` is told each place."""
    mosaic, read_map = service("mosaic")(*earths.mapped), service("local_map")
    low, high = (settings.altitude_m * (1 + share) for share in (-settings.altitude_share, settings.altitude_share))
    draw = service("land_looks")((low, high), settings.latitude_band_deg, looks=settings.looks)
    stream = service("frames")(
        CAMERA, earths.seen, draw, settings.seed, workers=None, chunk=settings.looks,
        start=places.start * settings.looks, stop=places.stop * settings.looks,
    )  # fmt: skip
    half = half_px(settings)
    chart: Any = None
    for frame, truth, _ in stream:
        place, look = divmod(truth.index, settings.looks)
        if look == 0:
            chart = read_map(mosaic, (truth.lat_deg, truth.lon_deg), settings.gsd_m, half, half)
            progress(place)
        if chart is not None:
            yield TrainingLook(frame, truth, chart)


def half_px(settings: LookSettings) -> int:
    """Pixels from the middle of the map to its sides: all that a frame shows lies on it."""
    reach_m = np.hypot(CAMERA.width, CAMERA.height) / 2 / CAMERA.fx * settings.altitude_m
    return int(np.ceil(reach_m / settings.gsd_m)) + _MARGIN_PX
