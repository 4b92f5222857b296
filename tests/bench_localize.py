"""Time and memory of a frame, and the classical baseline beside it: ``make bench-localize``.

``python -m tests.bench_localize --frames DIR --mosaic F.tif [--every N]``. First the real photographs of DIR/full
(2592x1944, decoded beforehand) in a fresh process that loads nothing but `onboard`: each stage's time, resident memory.
Then, frame by frame, the photographs of DIR/frames.csv: nadir and the classical baseline (tests/classical.py) in turn,
from the same array in memory: solved, wrong (farther than 25 km), time, bytes, and the ratios. What the baseline needs
of the map is read once into --work (minutes; killed, it goes on where it was). The baseline's limit of inliers is the
least at which none of these very frames is wrong: hindsight, in its favour.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from onboard import Localizer, default_pack, load_camera
from onboard.geodesy import distance_m
from onboard.ground_plane import GroundPlane
from onboard.images import read_image
from onboard.intake import as_rgb
from onboard.rectify import rectifier
from tests.classical import ClassicalLocalizer, read_tiles

RIGHT_M = 25e3
FULL_CAMERA = "izzy_ov5647_full.yaml"
LIMITS = (8, 10, 12, 15, 20, 30)


@dataclass(frozen=True)
class Outcome:
    """One frame by both; errors in metres, NaN without an estimate; inliers decide on the baseline's."""

    file: str
    label: str
    fix: bool
    error_m: float
    ms: float
    cpu_ms: float
    classical_error_m: float
    classical_inliers: int
    classical_ms: float
    classical_cpu_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--mosaic", type=Path, required=True)
    parser.add_argument("--pack", type=Path, default=default_pack())
    parser.add_argument("--work", type=Path, default=Path("runs/localize"))
    parser.add_argument("--repeats", type=int, default=15, help="of each picture in the timed process")
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame for the comparison (default: all)")
    parser.add_argument("--top", type=int, default=20, help="tiles the baseline matches (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    report_process(timed_process(arguments.pack, arguments.frames, arguments.repeats))
    with (arguments.frames / "frames.csv").open() as stream:
        rows = list(csv.DictReader(stream))[:: arguments.every]
    localizer = Localizer(arguments.pack, load_camera(arguments.frames / rows[0]["camera"]))
    mission = localizer.mission
    tiles = read_tiles(arguments.mosaic, mission.latitude_band_deg, mission.gsd_m, arguments.work)
    baseline = ClassicalLocalizer(tiles, arguments.top, arguments.work, arguments.seed)
    compare_one(localizer, baseline, arguments.frames, rows[0])  # warm
    shown = tqdm(rows, "frames", disable=None)
    outcomes = [compare_one(localizer, baseline, arguments.frames, row) for row in shown]
    (arguments.work / "outcomes.jsonl").write_text("".join(json.dumps(asdict(one)) + "\n" for one in outcomes))
    report_comparison(outcomes, localizer.pack.size, baseline.bytes, len(tiles.pictures), arguments.top)


def timed_process(pack: Path, frames: Path, repeats: int) -> dict:
    """What `tests.localize_process` says of the pictures in full size."""
    images = sorted(map(str, (frames / "full").glob("*.jpg")))
    command = [
        sys.executable,
        "-m",
        "tests.localize_process",
        str(pack),
        str(frames / FULL_CAMERA),
        "405",
        str(repeats),
    ]
    done = subprocess.run([*command, *images], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def report_process(told: dict) -> None:
    frames, (height, width, _) = told["frames"], told["shape"]
    fixes = sum(frame["status"] == "FIX" for frame in frames)
    pictures = len({frame["image"] for frame in frames})
    print(f"\n{pictures} real {width}x{height} pictures in memory: {len(frames)} answers, {fixes} fixes")
    print(f"{'stage':12}{'p50 ms':>10}{'p99 ms':>10}{'share of p50':>14}")
    # Not every frame comes to every stage.
    stages = list(dict.fromkeys(["total", *(name for frame in frames for name in frame["timings_ms"])]))
    times = {name: np.array([frame["timings_ms"].get(name, 0.0) for frame in frames]) for name in stages}
    times["total CPU"] = np.array([frame["cpu_ms"] for frame in frames])
    for name in [*stages, "total CPU"]:
        p50, p99 = np.quantile(times[name], [0.5, 0.99])
        print(f"{name:12}{p50:10.1f}{p99:10.1f}{p50 / np.median(times['total']):14.0%}")
    print(
        "resident memory, MiB: "
        + ", ".join(f"{name[:-4].replace('_', ' ')} {told['memory'][name]}" for name in told["memory"])
    )


def compare_one(localizer: Localizer, baseline: ClassicalLocalizer, folder: Path, row: dict[str, str]) -> Outcome:
    """One frame by both; the baseline's time includes the rectification it shares with nadir."""
    frame, altitude_m = read_image(folder / row["file"]), float(row["altitude_km"]) * 1e3
    truth = float(row["lat_deg"]), float(row["lon_deg"])
    cpu = [time.process_time()]
    fix = localizer.localize(frame, altitude_m=(altitude_m, 0.01 * altitude_m))
    cpu.append(time.process_time())
    start = time.perf_counter()
    camera = localizer.camera.scaled_to(frame.shape[1], frame.shape[0])
    rectified = rectifier(camera, GroundPlane(altitude_m), localizer.mission.gsd_m)(as_rgb(frame))
    rectify_ms = (time.perf_counter() - start) * 1e3
    answer = baseline.localize(rectified)
    cpu_ms, classical_cpu_ms = np.diff([*cpu, time.process_time()]) * 1e3
    return Outcome(
        row["file"], row["label"],
        bool(fix), float(distance_m(fix.lat_deg, fix.lon_deg, *truth)), fix.timings_ms["total"], float(cpu_ms),
        float(distance_m(answer.lat_deg, answer.lon_deg, *truth)), answer.inliers, answer.ms["total"] + rectify_ms,
        float(classical_cpu_ms),
    )  # fmt: skip


def report_comparison(outcomes: list[Outcome], pack_bytes: int, baseline_bytes: int, tiles: int, top: int) -> None:
    count = len(outcomes)
    solved = sum(one.fix and one.error_m <= RIGHT_M for one in outcomes)
    wrong = sum(one.fix and not one.error_m <= RIGHT_M for one in outcomes)
    right = np.array([one.classical_error_m <= RIGHT_M for one in outcomes])
    inliers = np.array([one.classical_inliers for one in outcomes])
    hindsight = int(inliers[~right].max(initial=7)) + 1
    print(f"\n{count} real frames, both from the same arrays; baseline: {tiles} tiles, the best {top} matched")
    print(f"{'':46}{'solved':>8}{'wrong':>7}{'no fix':>8}")
    print(f"{'nadir':46}{solved:8}{wrong:7}{count - solved - wrong:8}")
    for limit in sorted({*LIMITS, hindsight}):
        accepted = inliers >= limit
        name = f"baseline, {limit} inliers or more" + (" (best in hindsight)" if limit == hindsight else "")
        print(f"{name:46}{(right & accepted).sum():8}{(~right & accepted).sum():7}{(~accepted).sum():8}")
    times = {
        f"{name} {unit}": [float(np.quantile([getattr(one, field) for one in outcomes], q)) for field in fields]
        for name, q in (("p50", 0.5), ("p99", 0.99))
        for unit, fields in (("ms", ("ms", "classical_ms")), ("CPU ms", ("cpu_ms", "classical_cpu_ms")))
    }
    best = int((right & (inliers >= hindsight)).sum())
    print(f"{'':12}{'nadir':>12}{'baseline':>12}{'ratio':>9}")
    figures = {**times, "MiB": [pack_bytes / 2**20, baseline_bytes / 2**20], "solved": [solved, best]}
    for name, (ours, theirs) in figures.items():
        ratio = f"{theirs / ours:9.2f}" if ours else "        -"
        print(f"{name:12}{ours:12.1f}{theirs:12.1f}{ratio}")


if __name__ == "__main__":
    main()
