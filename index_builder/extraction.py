"""Landmarks of a mosaic, tile by tile, on all cores, resumable."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from index_builder.crew import Crew, on_all_cores
from index_builder.mosaic import Mosaic
from index_builder.provenance import CODE
from index_builder.tiles import Tile, read_tile, tiles_of
from onboard.describer import Describer, PatchNetwork, RootSift
from onboard.features import extract
from onboard.identity import code_sha256
from onboard.orientation import OrientationNetwork
from onboard.picture import Picture
from onboard.whole_file import whole

# What reading a stored tile ends in where the file is cut off or changed.
_DAMAGED = (BadZipFile, EOFError, ValueError, TypeError)


@dataclass(frozen=True)
class Networks:
    """Files of networks: what describes keypoints, and what turns them."""

    descriptor: Path
    orientation: Path


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Raw landmarks: lat_deg, lon_deg float64 (N,); angle_deg float32, clockwise from east as on a map; scale_px and
    response float32; descriptors float16 (N, D), unit vectors."""

    lat_deg: NDArray[np.float64]
    lon_deg: NDArray[np.float64]
    angle_deg: NDArray[np.float32]
    scale_px: NDArray[np.float32]
    response: NDArray[np.float32]
    descriptors: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.lat_deg)

    def __getitem__(self, chosen: NDArray) -> "Landmarks":
        return Landmarks(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})

    @classmethod
    def concatenate(cls, parts: list["Landmarks"]) -> "Landmarks":
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__}
        )


def landmarks_of_tile(
    mosaic: Mosaic, tile: Tile, gsd_m: float, describer: Describer, orientation: OrientationNetwork | None
) -> Landmarks | None:
    """All landmarks whose place lies in the tile; None when there are none."""
    local = read_tile(mosaic, tile, gsd_m)
    if local is None:
        return None
    features = extract(Picture.of(local.rgb, np.ones(local.mask.shape, bool)), describer, orientation)
    column, row = np.rint(features.xy.T).astype(int)
    features = features[local.mask[row.clip(0, local.mask.shape[0] - 1), column.clip(0, local.mask.shape[1] - 1)]]
    if len(features) == 0:
        return None
    lat, lon, turn = local.geodetic(features.xy)
    landmarks = Landmarks(
        lat,
        lon,
        ((features.angle_deg + turn) % 360).astype(np.float32),
        features.scale_px,
        features.response,
        features.descriptors.astype(np.float16),
    )
    inside = tile.holds(lat, lon)
    return landmarks[inside] if inside.any() else None


def extract_landmarks(
    mosaic: Mosaic,
    band_deg: tuple[float, float],
    gsd_m: float,
    networks: Networks | None,
    work: Path,
    progress: Callable[[int, int], None],
    crew: Crew = on_all_cores,
) -> Landmarks | None:
    """Landmarks of a latitude band, None when it has none. Finished tiles are kept in ``work`` and not done again,
    unless their files are damaged.

    networks: that turn and describe them, SIFT and RootSIFT when None.
    ``progress`` is called with the tiles done and their number.
    """
    tiles = tiles_of(band_deg, gsd_m)
    store = work / _fingerprint(mosaic, band_deg, gsd_m, networks)
    store.mkdir(parents=True, exist_ok=True)
    parts: dict[int, Landmarks | None] = {}
    todo = []
    for number in range(len(tiles)):
        try:
            parts[number] = _load(store / f"{number}.npz")
        except (FileNotFoundError, *_DAMAGED):
            todo.append(number)
    progress(len(tiles) - len(todo), len(tiles))
    finished = crew(_work, todo, _start_worker, mosaic, tiles, gsd_m, networks, store)
    for done, number in enumerate(finished, len(tiles) - len(todo) + 1):
        parts[number] = _load(store / f"{number}.npz")
        progress(done, len(tiles))
    found = [part for _, part in sorted(parts.items()) if part is not None]
    return Landmarks.concatenate(found) if found else None


def _fingerprint(mosaic: Mosaic, band_deg: tuple[float, float], gsd_m: float, networks: Networks | None) -> str:
    models = [hashlib.sha256(path.read_bytes()).hexdigest() for path in vars(networks).values()] if networks else []
    told = [mosaic.stamp(), band_deg, gsd_m, models, code_sha256(*CODE), cv2.__version__]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


_worker: dict = {}


def _start_worker(mosaic: Mosaic, tiles: list[Tile], gsd_m: float, networks: Networks | None, store: Path) -> None:
    cv2.setNumThreads(1)
    describer = RootSift() if networks is None else PatchNetwork(networks.descriptor, threads=1)
    orientation = None if networks is None else OrientationNetwork(networks.orientation, threads=1)
    _worker.update(store=store, of_tile=(mosaic, tiles, gsd_m, describer, orientation))


def _work(number: int) -> int:
    mosaic, tiles, *others = _worker["of_tile"]
    found = landmarks_of_tile(mosaic, tiles[number], *others)
    target = _worker["store"] / f"{number}.npz"
    with whole(target) as part, part.open("wb") as stream:
        np.savez(stream, **(vars(found) if found is not None else {}))
    return number


def _load(path: Path) -> Landmarks | None:
    with np.load(path) as data:
        return Landmarks(**{name: data[name] for name in data.files}) if data.files else None
