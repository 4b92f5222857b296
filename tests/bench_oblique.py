"""Oblique views: simulated frames of clear land, the camera tilted, its tilt told and not. ``make bench-oblique``.

Every tilt looks at the same places in the same light, from the same altitudes, with the same errors of pointing, which
the localizer knows to the mission's sigma only. *told*: the tilt comes with the frame (`onboard.Vertical`); *untold*:
it is taken for a picture of the nadir; *mirrored*: frame and tilt mirrored, which shows no place on Earth: what chance
scores. Wrong: a fix farther than 25 km from the nadir point. Normalised error: of the position in space, squared by the
fix's own covariance; 3 in the mean where that is honest.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from onboard import Localizer, Status, Vertical, default_pack, plugins
from onboard.geodesy import distance_m, geodetic_from_ecef
from onboard.identity import file_identity
from sim.campaign import claim, told_altitude_m
from sim.configuration import pack_identity, versions
from sim.land_scenario import LandScenario
from sim.ocean import OceanMask
from sim.places import Ground
from sim.record_log import RecordLog
from sim.scenario import Shot
from sim.subjects import Studio

RIGHT_M = 25e3
WAYS = ("told", "untold", "mirrored")
# Towards which part of the picture the ground recedes, in turn: along neither its sides nor its diagonals.
DIRECTIONS_DEG = (20.0, 110.0, 200.0, 290.0)


@dataclass(frozen=True)
class Record:
    """One answer. score: of the best place; wrong_score: of the best place farther than RIGHT_M; estimates None without
    a fix, and error_m of a fix that shows no place on Earth."""

    tilt_deg: float
    how: str
    index: int
    status: str
    score: float
    wrong_score: float
    error_m: float | None = None
    sigma_m: float | None = None
    normalised_error2: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mosaic", type=Path, help="what the camera sees")
    parser.add_argument("--pack", type=Path, default=default_pack())
    parser.add_argument("--places", type=int, default=40)
    parser.add_argument("--tilts-deg", type=float, nargs="+", default=[0.0, 10.0, 20.0, 30.0, 40.0])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/oblique"),
        help="one record an answer goes there; what is there is not made again (default: %(default)s)",
    )  # fmt: skip
    arguments = parser.parse_args()
    mosaic, localizer = plugins.service("mosaic")(arguments.mosaic), Localizer(arguments.pack)
    ground = Ground(mosaic, OceanMask())
    studio = Studio(localizer.camera, mosaic, ground.sea)
    claim(arguments.out, identity(arguments))
    records = []
    for tilt_deg in arguments.tilts_deg:
        logs = {how: RecordLog(arguments.out / f"{how}_{tilt_deg:g}.jsonl") for how in arguments.ways}
        shots = list(oblique(localizer, ground, arguments.places, tilt_deg, arguments.seed))
        for shot, vertical in tqdm(shots, desc=f"{tilt_deg:g} degrees", disable=None):
            ways = [how for how, log in logs.items() if shot.index not in log.records]
            for answer in answers(localizer, studio, shot, vertical, tilt_deg, ways) if ways else ():
                logs[answer.how].append(asdict(answer))
        records += [Record(**each) for log in logs.values() for each in log.finish()]
    report(records, localizer.acceptance.least_score)


def identity(arguments: argparse.Namespace) -> dict[str, Any]:
    """All that an answer depends on: those of other code measure something else."""
    return {
        "command": "oblique",
        "mosaic": file_identity(arguments.mosaic),
        "pack": pack_identity(arguments.pack),
        "seed": arguments.seed,
        "places": arguments.places,
        "code_sha256": versions()["code_sha256"],
    }


def oblique(
    localizer: Localizer, ground: Ground, places: int, tilt_deg: float, seed: int
) -> Iterator[tuple[Shot, Vertical]]:
    """The shots of one tilt, each with the tilt as it is told."""
    for number, direction_deg in enumerate(DIRECTIONS_DEG):
        mission = replace(localizer.mission, off_nadir_deg=tilt_deg, off_nadir_direction_deg=direction_deg)
        vertical = Vertical.off_nadir(tilt_deg, direction_deg, float(np.radians(mission.pointing_sigma_deg)))
        for shot in LandScenario(mission, places, seed, ground, cloud_cover=0.0).shots()[number :: len(DIRECTIONS_DEG)]:
            yield shot, vertical


def answers(
    localizer: Localizer, studio: Studio, shot: Shot, vertical: Vertical, tilt_deg: float, ways: Iterable[str] = WAYS
) -> Iterator[Record]:
    """What the localizer makes of a frame, told and untold, and of its mirror image."""
    frame = studio.observe(shot).frame
    x, y, z = vertical.down_cam
    mirrored = np.ascontiguousarray(frame[:, ::-1])
    shown = {
        "told": (frame, vertical),
        "untold": (frame, None),
        "mirrored": (mirrored, replace(vertical, down_cam=(-x, y, z))),
    }
    for how in ways:
        picture, told = shown[how]
        evidence = localizer.examine(picture, altitude_m=told_altitude_m(localizer.mission), vertical=told)
        fix = evidence.fix
        held = [place for place in evidence.recognitions if place.pose is not None]
        poses = [(place.weight, place.pose.position_ecef_m) for place in held]
        wrong = [score for score, position in poses if how == "mirrored" or error_m(shot, position) > RIGHT_M]
        record = Record(
            tilt_deg, how, shot.index, fix.status.value,
            max((score for score, _ in poses), default=0.0), max(wrong, default=0.0),
        )  # fmt: skip
        if fix:
            off = fix.position_ecef_m - shot.position_ecef_m
            record = replace(
                record, error_m=error_m(shot, fix.position_ecef_m) if how != "mirrored" else None,
                sigma_m=fix.sigma_m, normalised_error2=float(off @ np.linalg.solve(fix.covariance_ecef_m2, off)),
            )  # fmt: skip
        yield record


def error_m(shot: Shot, position_ecef_m: np.ndarray) -> float:
    lat, lon, _ = geodetic_from_ecef(position_ecef_m)
    return float(distance_m(lat, lon, shot.lat_deg, shot.lon_deg))


def report(records: list[Record], least_score: float) -> None:
    print(f"\n{'off nadir':>9} {'':9}{'frames':>7}{'solved':>8}{'wrong':>7}{'no fix':>8}{'median km':>11}{'95 % km':>9}"
          f"{'sigma km':>10}{'normalised':>12}{'best wrong':>12}{'its median':>12}")  # fmt: skip
    for how in WAYS:
        for tilt_deg in dict.fromkeys(record.tilt_deg for record in records):
            chosen = [record for record in records if (record.how, record.tilt_deg) == (how, tilt_deg)]
            if not chosen:
                continue
            fixes = [record for record in chosen if record.status == Status.FIX.value]
            right = [record for record in fixes if record.error_m is not None and record.error_m <= RIGHT_M]
            cells = "".join(f"{'-':>{width}}" for width in (11, 9, 10, 12))
            if right:
                errors, sigmas, squares = np.array(
                    [(record.error_m, record.sigma_m, record.normalised_error2) for record in right], float
                ).T
                cells = f"{np.median(errors) / 1e3:11.1f}{np.quantile(errors, 0.95) / 1e3:9.1f}"
                cells += f"{np.median(sigmas) / 1e3:10.1f}{squares.mean():12.1f}"
            wrong = [record.wrong_score for record in chosen]
            print(
                f"{tilt_deg:9g} {how:9}{len(chosen):7}{len(right):8}{len(fixes) - len(right):7}"
                f"{len(chosen) - len(fixes):8}{cells}{max(wrong):12.1f}{np.median(wrong):12.1f}"
            )
    print(f"a fix takes a weight of {least_score:.1f} in landmarks recognised")


if __name__ == "__main__":
    main()
