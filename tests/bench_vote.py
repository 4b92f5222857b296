"""Is the chance that several frames agree on an orbit told honestly? `python -m tests.bench_vote --mosaic F.tif [DIR]`.

Frames that show no place of the map, mirrored views of the mosaic and mirrored photographs of DIR, are put into
sequences at random, and the tracker's vote is asked after every frame for the best orbit through it. None of these
orbits is right. Of frames whose orbit states a chance of x or less, at most a share x may exist, for every x. The
last line says how much more often than by the map's landmarks two wrong places lie together.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from index_builder.calibration import mirrored_view
from index_builder.mosaic import Mosaic
from index_builder.tiles import land_places
from onboard import Localizer, default_pack, load_camera
from onboard.images import read_image
from onboard.orbit_places import FramePlaces, Place, places_of
from onboard.orbit_vote import OrbitVote, map_area_rad2

ALTITUDE_M = (410e3, 15e3)
LIMITS = (1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-5)
TOGETHER_RAD = 100e3 / 6371e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="photographs and frames.csv")
    parser.add_argument("--mosaic", type=Path, required=True)
    parser.add_argument("--pack", type=Path, default=default_pack())
    parser.add_argument("--views", type=int, default=200, help="mirrored views of the mosaic")
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=20, help="of a sequence")
    parser.add_argument("--every-s", type=float, default=33.0)
    arguments = parser.parse_args()
    localizer = Localizer(arguments.pack)
    wrong = views_of_mosaic(localizer, arguments.mosaic, arguments.views)
    if arguments.folder:
        wrong += photographs(arguments.pack, arguments.folder)
    measure(localizer, wrong, arguments.sequences, arguments.frames, arguments.every_s)


def views_of_mosaic(localizer: Localizer, mosaic: Path, count: int) -> list[tuple[Place, ...]]:
    """The places found in mirrored views of land, none of them right."""
    source, known = Mosaic(mosaic), localizer.knowledge()
    found = []
    for number, place in enumerate(land_places(source, count, localizer.mission.latitude_band_deg, 777)):
        rectified = mirrored_view(source, localizer, place, np.random.default_rng((777, number)))
        view = localizer.view_of_rectified(rectified, localizer.camera)
        found.append(places_of(localizer.verified(view, localizer.camera, known), localizer.agreement_acceptance))
    return found


def photographs(pack: Path, folder: Path) -> list[tuple[Place, ...]]:
    """The places found in mirrored photographs."""
    localizers: dict[str, Localizer] = {}
    found = []
    with (folder / "frames.csv").open() as stream:
        for row in csv.DictReader(stream):
            name = row["camera"]
            localizer = localizers.setdefault(name, Localizer(pack, load_camera(folder / name)))
            frame = np.ascontiguousarray(read_image(folder / row["file"])[:, ::-1])
            found.append(
                places_of(localizer.sight(frame, altitude_m=ALTITUDE_M).places, localizer.agreement_acceptance)
            )
    return found


def measure(localizer: Localizer, wrong: list[tuple[Place, ...]], sequences: int, frames: int, every_s: float) -> None:
    area = map_area_rad2(localizer.catalogue.unit)
    orbit = localizer.mission.orbit
    print(f"{len(wrong)} frames that show nothing known; {sequences} sequences of {frames}, one every {every_s:g} s")
    print(f"{'share of frames whose best orbit states a chance of at most':60}" + "".join(f"{x:>9g}" for x in LIMITS))
    for name, allowed in (("inclinations of the mission", orbit.inclination_deg), ("any inclination", (0.0, 180.0))):
        vote = OrbitVote(area, replace(orbit, inclination_deg=allowed), localizer.agreement_acceptance)
        stated = np.array(chances(vote, wrong, sequences, frames, every_s))
        shares = "".join(f"{(stated <= limit).mean():9.1e}" for limit in LIMITS)
        print(f"{f'{name}, {len(stated)} frames':60}{shares}   least: {stated.min():.1e}")
    print(f"two wrong places lie within 100 km {crowding(wrong, area):.1f} times as often as two landmarks")


def chances(
    vote: OrbitVote, wrong: list[tuple[Place, ...]], sequences: int, frames: int, every_s: float
) -> list[float]:
    """The stated chance of the best orbit through every frame but the first of every sequence; 1e3 where none is."""
    dice = np.random.default_rng(0)
    stated = []
    for _ in range(sequences):
        drawn = dice.choice(len(wrong), size=min(frames, len(wrong)), replace=False)
        window = [FramePlaces(i * every_s, wrong[number]) for i, number in enumerate(drawn.tolist())]
        for i in range(1, len(window)):
            track = vote.best_track(window[i], window[:i], ALTITUDE_M, i + 1)
            stated.append(1e3 if track is None else track.chance)
    return stated


def crowding(wrong: list[tuple[Place, ...]], area_rad2: float) -> float:
    """How much more often than landmarks two wrong places of different frames lie within 100 km of one another."""
    unit = np.array([place.unit for places in wrong for place in places])
    frame = np.array([number for number, places in enumerate(wrong) for _ in places])
    near = (unit @ unit.T > np.cos(TOGETHER_RAD)) & (frame[:, None] != frame[None])
    pairs = (frame[:, None] != frame[None]).sum()
    return float(near.sum() / pairs / (np.pi * TOGETHER_RAD**2 / area_rad2))


if __name__ == "__main__":
    main()
