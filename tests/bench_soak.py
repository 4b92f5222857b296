"""Does the memory of a flight process grow? ``make bench-soak``, or ``python -m tests.bench_soak DIR --answers N``.

One process with nothing but `onboard` answers N frames, photographs of DIR (frames.csv and pictures, as for bench_real)
in turn with what else a flight brings: told a place or a vertical (whose resampling is made anew), short of time,
shown to a tracker, mirrored, dark, of the wrong size. Resident memory by tenths of the run, its peak, and how fast it
grows after the first three.
"""

import argparse
import csv
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard import Localizer, Prior, Tracker, Vertical, default_pack, load_camera
from onboard.cli_runtime import ALTITUDE_SIGMA
from onboard.health import resident_mib
from onboard.images import read_image
from onboard.utc import nanoseconds, utc_time
from tests.localize_process import GROUND

Frame = NDArray[np.uint8]
_WARM, _TENTHS = 3, 10
_DAY_NS = 86_400 * 10**9
_NARROW_DEG, _PRIOR_M, _SHORT_MS = 0.5, 100e3, 60.0


class Flight:
    """One way after another of showing a localizer the frames of a folder; every round of them a month later."""

    def __init__(self, localizer: Localizer, rng: np.random.Generator) -> None:
        self.localizer, self.rng = localizer, rng
        self.tracker = Tracker(localizer)
        self.ways: tuple[Callable[[Frame, dict[str, str], int], str], ...] = (
            self.alone, self.tracked, self.told_place, self.tracked, self.told_vertical, self.short_of_time,
            self.tracked, self.mirrored, self.dark, self.of_wrong_size,
        )  # fmt: skip

    def alone(self, frame: Frame, row: dict[str, str], turn: int, **told: Any) -> str:
        return self.localizer.localize(frame, altitude_m=_altitude_m(row), **told).status.value

    def tracked(self, frame: Frame, row: dict[str, str], turn: int) -> str:
        timestamp_ns = nanoseconds(utc_time(row["time_utc"])) + 30 * _DAY_NS * turn
        return self.tracker.update(frame, timestamp_ns, _altitude_m(row)).status.value

    def told_place(self, frame: Frame, row: dict[str, str], turn: int) -> str:
        return self.alone(frame, row, turn, prior=Prior(float(row["lat_deg"]), float(row["lon_deg"]), _PRIOR_M))

    def told_vertical(self, frame: Frame, row: dict[str, str], turn: int) -> str:
        off_deg, direction_deg = abs(self.rng.normal(0, _NARROW_DEG)), self.rng.uniform(0, 360)
        return self.alone(frame, row, turn, vertical=Vertical.off_nadir(off_deg, direction_deg, np.radians(1.0)))

    def short_of_time(self, frame: Frame, row: dict[str, str], turn: int) -> str:
        return self.alone(frame, row, turn, deadline_ms=_SHORT_MS)

    def mirrored(self, frame: Frame, row: dict[str, str], turn: int) -> str:
        return self.alone(frame[:, ::-1], row, turn)

    def dark(self, frame: Frame, row: dict[str, str], turn: int) -> str:
        return self.alone(frame // 64, row, turn)

    def of_wrong_size(self, frame: Frame, row: dict[str, str], turn: int) -> str:
        return self.alone(frame[:-100], row, turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pack", type=Path, default=default_pack())
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with (arguments.folder / "frames.csv").open() as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: row["time_utc"])
    localizer = Localizer(arguments.pack, load_camera(arguments.folder / rows[0]["camera"]))
    flight = Flight(localizer, np.random.default_rng(arguments.seed))
    # What is kept of an answer here must not be what grows.
    memory_mib, statuses = np.zeros(arguments.answers), Counter[str]()
    start = time.monotonic()
    for number in range(arguments.answers):
        turn, at = divmod(number, len(rows))
        # A round later a frame is shown in the next way, so that each meets all.
        way = flight.ways[(at + turn) % len(flight.ways)]
        statuses[way(read_image(arguments.folder / rows[at]["file"]), rows[at], turn)] += 1
        memory_mib[number] = resident_mib() or 0.0
        if (number + 1) % 500 == 0:
            left_s = (time.monotonic() - start) / (number + 1) * (arguments.answers - number - 1)
            print(f"{number + 1} answers, {memory_mib[number]} MiB, {left_s:.0f} s left", flush=True)
    assert not any(name in sys.modules for name in GROUND)
    report(memory_mib, statuses)


def report(memory: NDArray[np.float64], statuses: Counter[str]) -> None:
    print("\nstatuses: " + ", ".join(f"{n} {name}" for name, n in statuses.most_common()))
    print(f"\n{'tenth':>6}{'median MiB':>12}{'highest MiB':>13}")
    for tenth, part in enumerate(np.array_split(memory, _TENTHS), 1):
        print(f"{tenth:6}{np.median(part):12.1f}{part.max():13.1f}")
    warm = len(memory) * _WARM // _TENTHS
    growth = np.polyfit(np.arange(warm, len(memory)), memory[warm:], 1)[0]
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak of the process {peak_mib:.1f} MiB")
    print(f"after the first {_WARM} tenths it grows by {growth * 1024:.3f} KiB an answer, of {len(memory)} answers")


def _altitude_m(row: dict[str, str]) -> tuple[float, float]:
    altitude_m = float(row["altitude_km"]) * 1e3
    return altitude_m, altitude_m * ALTITUDE_SIGMA


if __name__ == "__main__":
    main()
