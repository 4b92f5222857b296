"""Frames by the thousand, in order, rendered by worker processes: what training and benches draw from."""

import ctypes
import os
import platform
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard import plugins
from onboard.camera import Camera
from onboard.geodesy import Array, geodetic_from_ecef, heading_deg_of
from onboard.worker import end_with_parent
from sim.errors import SimError
from sim.look import Look
from sim.ocean import OceanMask
from sim.places import Sea
from sim.renderer import Renderer

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc


@dataclass(frozen=True, eq=False)
class Exposure:
    """What one frame is to show: position_ecef_m (3,); ecef_from_cam (3, 3); sun_ecef (3,) unit; look."""

    position_ecef_m: Array
    ecef_from_cam: Array
    sun_ecef: Array
    look: Look


class Draw(Protocol):
    """Chooses exposure ``index`` of a seed, by these two and nothing else; sent to the workers, so picklable."""

    def __call__(self, seed: int, index: int, ocean: Sea) -> Exposure: ...


@dataclass(frozen=True, eq=False)
class Truth:
    """What a frame really is: where the camera was and how it was turned, and the shares of `Observation`.

    lat_deg, lon_deg, altitude_m: geodetic, of the camera; heading_deg: azimuth of the picture's up direction.
    """

    index: int
    position_ecef_m: Array
    ecef_from_cam: Array
    sun_ecef: Array
    lat_deg: float
    lon_deg: float
    altitude_m: float
    heading_deg: float
    earth_share: float
    land_share: float
    cloud_cover: float
    mapped_share: float


class RenderedFrame(NamedTuple):
    """frame (H, W, 3) uint8 RGB, what it is, and how it was made to look."""

    frame: NDArray[np.uint8]
    truth: Truth
    look: Look


@dataclass(frozen=True, eq=False)
class FrameStream:
    """Iterating yields RenderedFrame ``start``, ``start`` + 1, ... up to ``stop`` (None: for ever), in order.

    Frame i follows from (seed, i) alone, whatever ``workers`` (None: one a core), ``chunk`` and ``start`` are. A worker
    takes ``chunk`` frames at a time; where a draw looks at one place several times in a row, chunks of as many spare
    the reading. At most two chunks a worker wait to be fetched. The workers end with the iterator: when it is used up,
    closed, dropped, or left by an exception. A worker's error is raised here as SimError, caused by the original.
    """

    camera: Camera
    mosaic_paths: tuple[Path, ...]
    draw: Draw
    seed: int
    workers: int | None = None
    start: int = 0
    stop: int | None = None
    chunk: int = 8

    def __post_init__(self) -> None:
        if self.chunk < 1 or self.start < 0 or (self.workers is not None and self.workers < 1):
            raise SimError(
                "a frame stream needs at least one worker, one frame a chunk and a start that is not negative"
            )

    def __iter__(self) -> Iterator[RenderedFrame]:
        workers = self.workers or os.cpu_count() or 1
        wanted = self.start
        OceanMask()  # made here where it is missing, better than in every worker at once
        pool = ProcessPoolExecutor(
            workers, get_context("spawn"), _start_worker, (self.camera, self.mosaic_paths, self.draw, self.seed)
        )
        try:
            for frame in self._in_order(pool, 2 * workers):
                yield frame
                wanted = frame.truth.index + 1
        except BrokenProcessPool as error:
            raise SimError(
                f"a rendering process died (out of memory?); go on with start={wanted}, with fewer workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

    def _in_order(self, pool: ProcessPoolExecutor, ahead: int) -> Iterator[RenderedFrame]:
        waiting: deque[tuple[range, Future[list[RenderedFrame]]]] = deque()
        chunks = self._chunks()
        while True:
            while len(waiting) < ahead and (indices := next(chunks, None)) is not None:
                waiting.append((indices, pool.submit(_render_chunk, indices)))
            if not waiting:
                return
            indices, job = waiting.popleft()
            try:
                frames = job.result()
            except BrokenProcessPool:
                raise
            except Exception as error:
                raise SimError(f"frames {indices[0]} to {indices[-1]} could not be rendered: {error}") from error
            yield from frames

    def _chunks(self) -> Iterator[range]:
        """Chunks begin at multiples of ``chunk``, wherever the stream does."""
        first = self.start
        for end in count((first // self.chunk + 1) * self.chunk, self.chunk):
            last = end if self.stop is None else min(end, self.stop)
            if first >= last:
                return
            yield range(first, last)
            first = end


class Studio:
    """Renders single frames of a stream, in this process."""

    def __init__(self, renderer: Renderer, draw: Draw, seed: int) -> None:
        self.renderer, self.draw, self.seed = renderer, draw, seed

    def frame(self, index: int) -> RenderedFrame:
        """Frame ``index`` (0, 1, ...) of the stream."""
        shot = self.draw(self.seed, index, self.renderer.ocean)
        noise = np.random.default_rng((self.seed, 1, index))
        seen = self.renderer.observe(shot.position_ecef_m, shot.ecef_from_cam, shot.sun_ecef, shot.look, noise)
        lat, lon, altitude_m = (float(value) for value in geodetic_from_ecef(shot.position_ecef_m))
        truth = Truth(
            index, shot.position_ecef_m, shot.ecef_from_cam, shot.sun_ecef, lat, lon, altitude_m,
            heading_deg_of(shot.ecef_from_cam, lat, lon),
            seen.earth_share, seen.land_share, seen.cloud_cover, seen.mapped_share,
        )  # fmt: skip
        return RenderedFrame(seen.frame, truth, shot.look)


_studio: Studio  # of a worker process, made when it starts


def _start_worker(camera: Camera, mosaic_paths: tuple[Path, ...], draw: Draw, seed: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the consumer's, which then ends the workers
    end_with_parent()
    cv2.setNumThreads(1)
    keep_freed_memory()
    global _studio
    mosaic = plugins.service("mosaic")(*mosaic_paths)
    _studio = Studio(Renderer(camera, mosaic), draw, seed)


def keep_freed_memory() -> None:
    """Have glibc reuse a picture's freed memory for the next picture's, up to half a gigabyte, in this process. Given
    back and asked for again page by page, it costs a third of a frame's time. Without glibc nothing changes."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 28)
        libc.mallopt(M_TRIM_THRESHOLD, 1 << 29)


def _render_chunk(indices: range) -> list[RenderedFrame]:
    return [_studio.frame(index) for index in indices]
