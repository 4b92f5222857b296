"""The stage ``nadir export pairs``: simulated frames to shards of patch pairs, resumable."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from export.json_file import write_json
from export.keypoint_pairs import MapKeypoints, PatchPairs, pairs_of_frame
from export.regions import held_out
from onboard.camera import Camera
from onboard.errors import NadirError
from onboard.plugins import service

# 413 km across from 405 km, as finely as a catalogue of a kilometre a pixel needs.
CAMERA = Camera(640, 480, 628.0, 628.0, 319.5, 239.5, name="training")
ALTITUDE_M = 405e3
_FEATURES = 2500
_MARGIN_PX = 24


class PairError(NadirError):
    """A folder of pairs that is missing, damaged or another one's."""


@dataclass(frozen=True)
class PairSettings:
    """gsd_m: of the catalogue; places: how many; looks: simulated frames at each; altitude_share: how far the true
    altitude is from the nominal one, at most."""

    gsd_m: float = 930.0
    places: int = 1000
    looks: int = 4
    latitude_band_deg: tuple[float, float] = (-60.0, 72.0)
    seed: int = 0
    altitude_share: float = 0.01
    places_a_shard: int = 50


def write_pairs(
    mosaic_paths: list[Path], settings: PairSettings, out: Path, progress: Callable[[int, int, int], None]
) -> None:
    """Render, pair and store; finished shards in ``out`` are kept. ``progress``: places done, all, pairs so far.

    Shards are shard-K.npz, held-out-K.npz for places in the regions never trained on (export/regions.py).
    Raises PairError when the folder holds pairs made with other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    claim = {"settings": json.loads(json.dumps(asdict(settings))), "mosaics": [path.name for path in mosaic_paths]}
    record = out / "settings.json"
    if record.exists() and json.loads(record.read_text()) != claim:
        raise PairError(f"{out}: holds pairs made with other settings; name another --out or remove it")
    write_json(record, claim)
    pairs = 0
    for shard, first in enumerate(range(0, settings.places, settings.places_a_shard)):
        places = range(first, min(first + settings.places_a_shard, settings.places))
        done = out / f"shard-{shard}.done"
        if not done.exists():

            def show(place: int, new: int, before: int = pairs) -> None:
                progress(place, settings.places, before + new)

            found = _shard(mosaic_paths, settings, places, show)
            for name, held in (("shard", False), ("held-out", True)):
                chosen = [part for was_held, part in found if was_held == held]
                if chosen:
                    _save(PatchPairs.concatenate(chosen), out / f"{name}-{shard}.npz")
            done.write_text(str(sum(len(part) for _, part in found)))
        pairs += int(done.read_text())
        progress(places[-1] + 1, settings.places, pairs)


def read_pairs(folder: Path, kind: str) -> PatchPairs:
    """All shards of a ``kind``: "shard" to train on, "held-out" to measure on. Raises PairError when there are none."""
    parts = []
    for path in sorted(folder.glob(f"{kind}-*.npz")):
        try:
            with np.load(path) as data:
                parts.append(PatchPairs(**{name: data[name] for name in PatchPairs.__dataclass_fields__}))
        except (OSError, ValueError, KeyError) as error:
            raise PairError(
                f"{path}: damaged ({error}); remove it and its .done and rerun 'nadir export pairs'"
            ) from error
    if not parts:
        raise PairError(f"{folder}: holds no {kind} pairs; make them with 'nadir export pairs'")
    return PatchPairs.concatenate(parts)


def _shard(
    mosaic_paths: list[Path], settings: PairSettings, places: range, progress: Callable[[int, int], None]
) -> list[tuple[bool, PatchPairs]]:
    mosaic = service("mosaic")(*mosaic_paths)
    read_map = service("local_map")
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
    found: list[tuple[bool, PatchPairs]] = []
    chart: MapKeypoints | None = None
    for frame, truth, _ in stream:
        place, look = divmod(truth.index, settings.looks)
        if look == 0:
            local = read_map(mosaic, (truth.lat_deg, truth.lon_deg), settings.gsd_m, half, half)
            chart = None if local is None else MapKeypoints.of(local)
            progress(place, sum(len(part) for _, part in found))
        if chart is None:
            continue
        rng = np.random.default_rng((settings.seed, 4, truth.index))
        held = held_out(truth.lat_deg, truth.lon_deg)
        if not held and held_out(truth.lat_deg, truth.lon_deg, half * settings.gsd_m):
            continue  # it would see into a region held out
        pairs = pairs_of_frame(frame, CAMERA, truth, ALTITUDE_M, chart, _FEATURES, rng)
        if pairs is not None:
            found.append((held, pairs))
    return found


def _save(pairs: PatchPairs, path: Path) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, **{name: getattr(pairs, name) for name in pairs.__dataclass_fields__})
    part.replace(path)
