"""Real photographs: solved and wrong apart, by label. ``make bench-real``, or ``python -m tests.bench_real DIR``.

DIR holds frames.csv (file, lat_deg, lon_deg, altitude_km, camera, label) and the pictures. No frame's position reaches
the localizer, unless --prior-km tells it roughly. Wrong: a fix farther than 25 km from the truth. What the landmarks
recognised at a wrong place weigh says how near a wrong fix was. With --mirror the pictures are mirrored: real ground,
light and cloud that are no place on Earth, so that any fix is wrong.
"""

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from onboard import Localizer, Prior, Status, default_pack, load_camera
from onboard.cli_runtime import ALTITUDE_SIGMA
from onboard.describer import PatchNetwork
from onboard.geodesy import destination, distance_m, geodetic_from_ecef
from onboard.guided import Guide
from onboard.images import read_image

RIGHT_M = 25e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pack", type=Path, default=default_pack())
    parser.add_argument("--network", type=Path, help="describes frames in place of the pack's own (INT8, say)")
    parser.add_argument("--focal", type=float, default=1.0, help="how many times too long the camera file says it is")
    parser.add_argument("--prior-km", type=float, help="tell every frame its place, off by so much (1-sigma an axis)")
    parser.add_argument("--mount-heading-deg", type=float, help="tell how the camera is mounted along the track")
    parser.add_argument("--mirror", action="store_true", help="mirror the pictures: any fix is wrong")
    parser.add_argument("--json", type=Path, help="write one record a frame there")
    arguments = parser.parse_args()
    localizers: dict[str, Localizer] = {}
    records = []
    with (arguments.folder / "frames.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        name = row["camera"]
        if name not in localizers:
            camera = load_camera(arguments.folder / name)
            camera = replace(camera, fx=camera.fx * arguments.focal, fy=camera.fy * arguments.focal)
            localizers[name] = Localizer(arguments.pack, camera)
            if arguments.network is not None:
                describe_by(localizers[name], PatchNetwork(arguments.network))
        prior = prior_of(row, arguments.prior_km, len(records))
        heading_deg, mirrored = arguments.mount_heading_deg, arguments.mirror
        records.append(measure(localizers[name], arguments.folder, row, prior, heading_deg, mirrored))
        print(records[-1], flush=True)
    if arguments.json:
        arguments.json.write_text("\n".join(map(json.dumps, records)) + "\n")
    report(records, next(iter(localizers.values())).acceptance.least_score)


def prior_of(row: dict[str, str], sigma_km: float | None, seed: int) -> Prior | None:
    """The place of a frame, as somebody tells it who knows it so well."""
    if sigma_km is None:
        return None
    east_m, north_m = np.random.default_rng(seed).normal(0, sigma_km * 1e3, 2)
    lat, lon = destination(
        float(row["lat_deg"]), float(row["lon_deg"]), np.degrees(np.arctan2(east_m, north_m)), np.hypot(east_m, north_m)
    )
    return Prior(float(lat), float(lon), sigma_km * 1e3)


def measure(
    localizer: Localizer,
    folder: Path,
    row: dict[str, str],
    prior: Prior | None = None,
    mount_heading_deg: float | None = None,
    mirrored: bool = False,
) -> dict:
    """Localize one frame as the command line does, and look at the places behind the answer."""
    frame = read_image(folder / row["file"])
    altitude_m = (float(row["altitude_km"]) * 1e3, float(row["altitude_km"]) * 1e3 * ALTITUDE_SIGMA)
    lat, lon = float(row["lat_deg"]), float(row["lon_deg"])
    if mirrored:  # shows no place, and no place is near
        frame, lat, lon = np.ascontiguousarray(frame[:, ::-1]), np.nan, np.nan
    fix = localizer.localize(frame, altitude_m=altitude_m, prior=prior, mount_heading_deg=mount_heading_deg)
    known = localizer.knowledge(altitude_m, prior=prior, mount_heading_deg=mount_heading_deg)
    camera = localizer.camera.scaled_to(frame.shape[1], frame.shape[0])
    right = wrong = 0.0
    wrong_votes = 0
    with localizer._looking():  # threads that BLAS leaves waiting would slow the next frame
        places = localizer.recognitions(localizer.view(frame, camera, known), camera, known)
    for place in places:
        if place.pose is None:
            continue
        at_lat, at_lon, _ = geodetic_from_ecef(place.pose.position_ecef_m)
        if distance_m(at_lat, at_lon, lat, lon) < RIGHT_M:
            right = max(right, place.weight)
        else:
            wrong, wrong_votes = max(wrong, place.weight), max(wrong_votes, place.agreement.candidate.votes)
    error_km = None if fix.status is not Status.FIX else float(distance_m(fix.lat_deg, fix.lon_deg, lat, lon)) / 1e3
    return {
        "file": row["file"],
        "label": row["label"],
        "status": fix.status.value,
        "error_km": None if error_km is None else round(error_km, 2),
        "inliers": fix.inliers,
        "votes": fix.votes,
        "right_weight": round(right, 2),
        "wrong_weight": round(wrong, 2),
        "wrong_votes": wrong_votes,
        "ms": round(fix.timings_ms["total"], 1),
        "stages_ms": {stage: round(ms, 1) for stage, ms in fix.timings_ms.items() if stage != "total"},
    }


def describe_by(localizer: Localizer, network: PatchNetwork) -> None:
    """Give a localizer another describer: a bench's liberty, not an interface."""
    localizer.describer = network
    localizer._guide = Guide(localizer.catalogue, localizer._verifier, network)


def report(records: list[dict], least_score: float) -> None:
    print(
        f"\n{'label':22}{'frames':>7}{'solved':>8}{'wrong':>7}{'no fix':>8}{'median km':>11}{'most at wrong place':>21}"
    )
    for label in [*sorted({record["label"] for record in records}), "all"]:
        chosen = [record for record in records if label in (record["label"], "all")]
        errors = [record["error_km"] for record in chosen if record["error_km"] is not None]
        solved = [error for error in errors if error * 1e3 <= RIGHT_M]
        median = f"{np.median(solved):.1f}" if solved else "-"
        wrong = max(record["wrong_weight"] for record in chosen)
        print(
            f"{label:22}{len(chosen):7}{len(solved):8}{len(errors) - len(solved):7}{len(chosen) - len(errors):8}"
            f"{median:>11}{wrong:21.2f}"
        )
    times = [record["ms"] for record in records]
    p50, p95 = np.quantile(times, [0.5, 0.95])
    print(f"a fix takes a weight of {least_score:.1f}; latency p50 {p50:.0f} ms, p95 {p95:.0f} ms")
    for stage in dict.fromkeys(stage for record in records for stage in record["stages_ms"]):
        p50, p95 = np.quantile([record["stages_ms"].get(stage, 0.0) for record in records], [0.5, 0.95])
        print(f"{stage:>12} p50 {p50:.0f} ms, p95 {p95:.0f} ms")


if __name__ == "__main__":
    main()
