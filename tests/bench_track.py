"""The tracker on real photographs, in order of time. ``make bench-track``, or ``python -m tests.bench_track DIR``.

DIR holds frames.csv (file, time_utc, lat_deg, lon_deg, altitude_km, camera, label) and the pictures. No frame's
position reaches the tracker, and the altitude as `nadir track` tells it. For every frame: the state after it, its error
along the ground and its own sigma; then the states of all frames by all of them, looked back upon.
*Far*: a state farther than 25 km from the truth; *wrong*: far, and farther than 4 of its sigmas, so that nobody was
warned.
``--mirror all`` flies the same frames mirrored, which show no place on Earth: any state is wrong then. ``--mirror odd``
mirrors every other frame: a mirrored frame that is used was believed because it was looked for, not because it fits.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from onboard import Localizer, OrbitState, Status, Tracker, TrackStatus, default_pack, load_camera
from onboard.cli_runtime import ALTITUDE_SIGMA
from onboard.geodesy import distance_m
from onboard.images import read_image
from onboard.utc import nanoseconds, utc_time
from onboard.whole_pass import Look, looking_back

RIGHT_M, SIGMAS = 25e3, 4.0
TRUTH_SIGMA_M = 3e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pack", type=Path, default=default_pack())
    parser.add_argument("--mirror", choices=("none", "all", "odd"), default="none")
    parser.add_argument("--mount-heading-deg", type=float, help="tell the tracker how the camera is mounted")
    parser.add_argument("--json", type=Path, help="write one record a frame there")
    arguments = parser.parse_args()
    with (arguments.folder / "frames.csv").open() as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: row["time_utc"])
    cameras = {row["camera"] for row in rows}
    if len(cameras) != 1:
        raise SystemExit(f"a tracker follows one camera, frames.csv names {len(cameras)}")
    localizer = Localizer(arguments.pack, load_camera(arguments.folder / cameras.pop()))
    tracker = Tracker(localizer, arguments.mount_heading_deg)
    mirrored = [
        arguments.mirror == "all" or (arguments.mirror == "odd" and number % 2 == 1) for number in range(len(rows))
    ]
    looks, records = [], []
    for row, mirror in zip(rows, mirrored, strict=True):
        looks.append(look(tracker, arguments.folder, row, mirror))
        records.append(record(row, looks[-1].state, mirror))
        print(records[-1], flush=True)
    afterwards = [record(*each) for each in zip(rows, looking_back(looks), mirrored, strict=True)]
    if arguments.json:
        arguments.json.write_text("\n".join(map(json.dumps, [*records, *afterwards])) + "\n")
    print("\nas flown, the state after each frame:")
    report(records)
    print("\nlooked back upon, the state at each frame by all of them:")
    report(afterwards)


def look(tracker: Tracker, folder: Path, row: dict[str, str], mirrored: bool) -> Look:
    """Show the tracker one frame."""
    frame = read_image(folder / row["file"])
    if mirrored:
        frame = np.ascontiguousarray(frame[:, ::-1])
    altitude_m = float(row["altitude_km"]) * 1e3
    timestamp_ns = nanoseconds(utc_time(row["time_utc"]))
    return Look.of(tracker, frame, timestamp_ns, (altitude_m, ALTITUDE_SIGMA * altitude_m))


def record(row: dict[str, str], state: OrbitState, mirrored: bool) -> dict:
    """A state beside the truth."""
    error_m = None if not state else float(distance_m(state.lat_deg, state.lon_deg, *_truth(row)))
    alone = state.fix is not None and state.fix.status is Status.FIX
    return {
        "file": row["file"],
        "label": row["label"],
        "status": state.status.value,
        "error_km": None if error_m is None else round(error_m / 1e3, 2),
        "sigma_km": None if error_m is None else round(state.sigma_m / 1e3, 2),
        "mirrored": mirrored,
        "fix_alone": alone,
        "used": state.status is TrackStatus.TRACKING,
        "reason": state.reason,
    }


def _truth(row: dict[str, str]) -> tuple[float, float]:
    return float(row["lat_deg"]), float(row["lon_deg"])


def report(records: list[dict]) -> None:
    heads = f"{'frames':>7}{'fix alone':>11}{'used':>6}{'state':>7}{'median km':>11}{'p95 km':>8}{'far':>5}{'wrong':>7}"
    print(f"{'label':22}{heads}")
    for label in [*sorted({record["label"] for record in records}), "all"]:
        chosen = [record for record in records if label in (record["label"], "all")]
        errors = np.array([record["error_km"] for record in chosen if record["error_km"] is not None])
        warned = np.array([record["sigma_km"] for record in chosen if record["error_km"] is not None])
        far = errors * 1e3 > RIGHT_M
        wrong = far & (errors > SIGMAS * np.hypot(warned, TRUTH_SIGMA_M / 1e3))
        p50, p95 = (f"{value:.1f}" for value in np.quantile(errors, [0.5, 0.95])) if len(errors) else ("-", "-")
        alone, used = (sum(record[key] for record in chosen) for key in ("fix_alone", "used"))
        print(
            f"{label:22}{len(chosen):7}{alone:11}{used:6}{len(errors):7}{p50:>11}{p95:>8}{far.sum():5}{wrong.sum():7}"
        )
    mirrored = [record for record in records if record["mirrored"]]
    if mirrored:
        met = sum(record["error_km"] is not None for record in mirrored)
        believed = sum(record["used"] for record in mirrored)
        print(f"{len(mirrored)} mirrored frames: {met} met a prediction, {believed} were used (each is an error)")
    used = [record for record in records if record["used"] and record["error_km"] is not None]
    gained = [record["error_km"] for record in used if not record["fix_alone"]]
    if gained:
        print(
            f"{len(gained)} frames without a fix of their own were used: median {np.median(gained):.1f} km, "
            f"worst {max(gained):.1f} km"
        )
    if used:
        errors = [record["error_km"] for record in used]
        print(f"of the {len(used)} frames used: median {np.median(errors):.1f} km, worst {max(errors):.1f} km")


if __name__ == "__main__":
    main()
