"""The classical baseline: what a user would build from OpenCV and faiss without learning anything.

Map tiles over all land of a band; RootSIFT-VLAD (export/vlad.py) ranks them for a frame; the best ones are matched by
RootSIFT (mutual nearest neighbours, ratio test) and a USAC homography. The fix is where the homography of the tile with
most inliers puts the frame's nadir. It gets the same rectified frame as nadir: scale and lens are known to both.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from export.vlad import VladEncoder
from index_builder.mosaic import Mosaic
from index_builder.tiles import LocalMap, is_land, read_map
from onboard.cells import tile_band
from onboard.encoder import network_view
from onboard.geodesy import destination
from onboard.picture import equalised, luminance, shrink_mask
from onboard.rectify import Rectified

SPAN_M, VIEW_PX, DIM = 320e3, 256, 256  # of VLAD
SPACING_M = 200e3  # of tiles: a view and its nearest tile have most of their ground in common
HALF_PX = 215  # of a tile: 400 km a side
MIN_LAND = 0.05
LEARN_FROM = 1000  # tiles
FEATURES = 3000
RATIO = 0.85
REPROJECTION_PX = 3.0
MAX_SCALE = 1.25  # a homography that scales the frame's middle by more contradicts the known altitude
JPEG_QUALITY = 90
Features = tuple[NDArray[np.float32], NDArray[np.float32]]  # pixels (N, 2), RootSIFT (N, 128)


@dataclass(frozen=True)
class Answer:
    """lat_deg, lon_deg are NaN without a homography; ms by stage."""

    lat_deg: float
    lon_deg: float
    inliers: int
    ms: dict[str, float]


@dataclass(frozen=True, eq=False)
class Tiles:
    """Places (N,) and pictures, JPEG, of N tiles."""

    lat_deg: NDArray[np.float64]
    lon_deg: NDArray[np.float64]
    pictures: list[bytes]
    gsd_m: float

    def map_of(self, number: int) -> LocalMap:
        bgr = cv2.imdecode(np.frombuffer(self.pictures[number], np.uint8), cv2.IMREAD_COLOR)
        assert bgr is not None
        rgb = np.ascontiguousarray(bgr[:, :, ::-1])
        centre = float(self.lat_deg[number]), float(self.lon_deg[number])
        return LocalMap(rgb, np.ones(rgb.shape[:2], bool), centre, self.gsd_m)

    def view(self, number: int) -> NDArray[np.float32]:
        tile = self.map_of(number)
        return network_view(tile.rgb, tile.mask, self.gsd_m, (HALF_PX, HALF_PX), SPAN_M, VIEW_PX)


def read_tiles(mosaic: Path, band_deg: tuple[float, float], gsd_m: float, work: Path) -> Tiles:
    """The tiles, from ``work`` as far as they are there; the rest is read (minutes) and kept there, row by row."""
    lat, lon = tile_band(band_deg, SPACING_M)
    rows = np.cumsum(np.diff(lat, prepend=lat[0]) != 0)
    work.mkdir(parents=True, exist_ok=True)
    source: Mosaic | None = None
    parts = []
    for number in tqdm(range(int(rows.max()) + 1), "tiles of the baseline", disable=None):
        path = work / f"tiles-{gsd_m:.0f}m-{SPACING_M / 1e3:.0f}km-{number:03d}.npz"
        if not path.exists():
            source = source or Mosaic(mosaic)
            chosen = np.flatnonzero(rows == number)
            _write_tiles(path, source, lat[chosen], lon[chosen], gsd_m)
        parts.append(_read_tiles(path))
    lats, lons, pictures = zip(*parts)
    return Tiles(np.concatenate(lats), np.concatenate(lons), [one for part in pictures for one in part], gsd_m)


def _write_tiles(path: Path, source: Mosaic, lat: NDArray, lon: NDArray, gsd_m: float) -> None:
    kept, pictures = [], []
    right, down = np.meshgrid(*[np.linspace(-HALF_PX, HALF_PX, 24) * gsd_m] * 2)
    for number, place in enumerate(zip(lat.tolist(), lon.tolist())):
        # Most of the Earth is water, and a few points tell.
        if not is_land(*destination(*place, np.degrees(np.arctan2(right, -down)), np.hypot(right, down))).any():
            continue
        tile = read_map(source, place, gsd_m, HALF_PX, HALF_PX)
        if tile is not None and tile.mask.mean() >= MIN_LAND:
            quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            pictures.append(cv2.imencode(".jpg", tile.rgb[:, :, ::-1], quality)[1].tobytes())
            kept.append(number)
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        sizes = np.array([len(picture) for picture in pictures], np.int64)
        everything = np.frombuffer(b"".join(pictures), np.uint8)
        np.savez(stream, lat=lat[kept], lon=lon[kept], sizes=sizes, pictures=everything)
    part.replace(path)


def _read_tiles(path: Path) -> tuple[NDArray, NDArray, list[bytes]]:
    with np.load(path) as stored:
        ends = np.cumsum(stored["sizes"]).tolist()
        data = stored["pictures"].tobytes()
        return stored["lat"], stored["lon"], [data[a:b] for a, b in zip([0, *ends[:-1]], ends)]


class ClassicalLocalizer:
    """VLAD over the tiles, then homographies to the ``top`` best."""

    def __init__(self, tiles: Tiles, top: int, work: Path, seed: int) -> None:
        self._tiles, self._top = tiles, top
        rng = np.random.default_rng(seed)
        learned = rng.permutation(len(tiles.pictures))[:LEARN_FROM]
        shown: Iterator[int] = iter(tqdm(learned.tolist(), "words of the baseline", disable=None))
        self._encoder = VladEncoder((tiles.view(number) for number in shown), SPAN_M, VIEW_PX, DIM, seed)
        self._codes = self._encoded(work / f"codes-{tiles.gsd_m:.0f}m-{SPACING_M / 1e3:.0f}km-{seed}.npy")
        self._sift = cv2.SIFT_create(nfeatures=FEATURES, contrastThreshold=0.01, enable_precise_upscale=True)
        self._matcher = cv2.BFMatcher(cv2.NORM_L2)

    def _encoded(self, path: Path) -> NDArray[np.float32]:
        """Codes of all tiles, kept in a file as long as the same words make the same codes."""
        count = len(self._tiles.pictures)
        first = self._encoder.encode(np.stack([self._tiles.view(number) for number in range(8)]))
        if path.exists():
            codes = np.load(path)
            if len(codes) == count and np.abs(codes[:8] - first).max() < 1e-3:
                return codes
        shown = tqdm(range(count), "codes of the baseline", disable=None)
        codes = np.concatenate([self._encoder.encode(self._tiles.view(number)[None]) for number in shown])
        part = path.with_suffix(".part")
        with part.open("wb") as stream:
            np.save(stream, codes)
        part.replace(path)
        return codes

    @property
    def bytes(self) -> int:
        """Of what would fly: pictures of the tiles, a float16 code each, words and directions."""
        return sum(map(len, self._tiles.pictures)) + self._codes.size * 2 + self._encoder.bytes

    def localize(self, frame: Rectified) -> Answer:
        start = time.perf_counter()
        view = network_view(frame.image, frame.mask, frame.gsd_m, frame.centre_px, SPAN_M, VIEW_PX)
        similarity = self._codes @ self._encoder.encode(view[None])[0]
        ranked = np.argsort(-similarity)[: self._top].tolist()
        retrieved = time.perf_counter()
        features = self._features(frame.image, frame.mask)
        best = Answer(np.nan, np.nan, 0, {})
        for number in ranked:
            tile = self._tiles.map_of(number)
            fit = self._homography(features, self._features(tile.rgb, tile.mask), frame.centre_px)
            if fit is not None and fit[1] > best.inliers:
                lat, lon, _ = tile.geodetic(fit[0])
                best = Answer(float(lat[0]), float(lon[0]), fit[1], {})
        done = time.perf_counter()
        ms = {"retrieve": (retrieved - start) * 1e3, "match": (done - retrieved) * 1e3, "total": (done - start) * 1e3}
        return Answer(best.lat_deg, best.lon_deg, best.inliers, ms)

    def _features(self, rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Features:
        even = equalised(luminance(rgb, mask))
        keypoints, found = self._sift.detectAndCompute(even, shrink_mask(mask, 6).astype(np.uint8))
        if found is None:
            return np.empty((0, 2), np.float32), np.empty((0, 128), np.float32)
        root = np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)
        return np.array([point.pt for point in keypoints], np.float32), root

    def _homography(
        self, frame: Features, tile: Features, nadir_px: tuple[float, float]
    ) -> tuple[NDArray[np.float64], int] | None:
        """Where the frame's nadir lies in the tile, pixels (1, 2), and the inliers; None where nothing holds."""
        if min(len(frame[0]), len(tile[0])) < 8:
            return None
        there = self._matcher.knnMatch(frame[1], tile[1], k=2)
        back = {match.queryIdx: match.trainIdx for match in self._matcher.match(tile[1], frame[1])}
        pairs = [
            (one.queryIdx, one.trainIdx)
            for one, other in there
            if one.distance < RATIO * other.distance and back[one.trainIdx] == one.queryIdx
        ]
        if len(pairs) < 8:
            return None
        chosen = np.array(pairs)
        cv2.setRNGSeed(0)
        matrix, inliers = cv2.findHomography(
            frame[0][chosen[:, 0]], tile[0][chosen[:, 1]], cv2.USAC_MAGSAC, REPROJECTION_PX, maxIters=10_000
        )
        if matrix is None or abs(matrix[2, 2]) < 1e-12:
            return None
        around = np.array(nadir_px) + np.array([(0, 0), (50, 0), (0, 50)])
        at = cv2.perspectiveTransform(around[None].astype(np.float64), matrix)[0]
        (a, b), (c, d) = (at[1:] - at[0]) / 50
        area = a * d - b * c
        if not MAX_SCALE**-2 < area < MAX_SCALE**2:
            return None
        return at[:1], int(inliers.sum())
