"""Faults injected into the memory of a running localizer: does any end in a wrong fix?

``python -m tests.bench_faults --frames DIR --faults N --seed S --out OUT``: one array, settings value or mapped
file in use is damaged (a bit, a burst of up to 256 bytes, a block of up to 64 KiB, or a storm of 2,000 bits all over
it); a frame is localized at once, the scrubber being anywhere on its round; then it is given one round to find the
damage, which is then undone. Right, refused (any other status), PACK_CORRUPT and WRONG (a fix farther than 25 km from
the truth) are counted apart. DIR: frames.csv and pictures, as for bench_real; half of the frames are ones that get a
fix. Every fault is drawn by its own number: stopped, the same command goes on behind the last one recorded in OUT.
What networks, and the index where it is not the one damaged, have answered before is not computed again.
"""

import argparse
import csv
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onboard import Fix, Localizer, Status, default_pack, load_camera
from onboard.cli_runtime import ALTITUDE_SIGMA
from onboard.errors import INTERNAL_ERROR
from onboard.geodesy import distance_m
from onboard.ground_plane import GroundPlane
from onboard.images import read_image
from onboard.landmarks import index_arrays
from onboard.patch_model import PatchModel
from onboard.rectify import rectifier
from onboard.scrubber import SLICE_BYTES, arrays_of
from sim.campaign import claim
from sim.configuration import pack_identity
from sim.progress import Progress
from sim.record_log import RecordLog
from tests.remembered import Remembered

RIGHT_M = 25e3
ALTITUDE_M = 405e3  # of all frames
BURST_BYTES, BLOCK_BYTES, STORM_BITS = 256, 1 << 16, 2000
OUTCOMES = ("right", "refused", "PACK_CORRUPT", "internal error", "WRONG")
Bytes = NDArray[np.uint8]
# Opens some bytes of memory for as long as they are to be changed.
Target = Callable[[np.random.Generator], AbstractContextManager[Bytes]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, default=default_pack())
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="one record a fault goes there, into faults.jsonl")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # damaged numbers overflow
    with tempfile.TemporaryDirectory() as folder:
        # The files are mapped shared: what is written to a copy of them is in the localizer's memory at once.
        pack = Path(shutil.copytree(arguments.pack, Path(folder) / "pack"))
        with (arguments.frames / "frames.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        localizer = Localizer(pack, load_camera(arguments.frames / rows[0]["camera"]))
        claim(arguments.out, {"command": "faults", "seed": arguments.seed, "pack": pack_identity(arguments.pack)})
        log = RecordLog(arguments.out / "faults.jsonl")
        look_up = remember(localizer)
        pictures = chosen_frames(localizer, arguments.frames, rows, np.random.default_rng(arguments.seed))
        targets = targets_of(localizer, pack)
        print(f"{len(pictures)} frames, {len(targets)} kinds of memory, {localizer._scrubber.size / 2**20:.0f} MiB")
        outcomes = Counter(record["outcome"] for record in log.records.values())
        with Progress(arguments.faults, len(log.records), "fault") as progress:
            for number in range(len(log.records), arguments.faults):
                log.append(injected(localizer, look_up, pictures, targets, number, arguments.seed))
                outcomes[log.records[number]["outcome"]] += 1
                progress.update(wrong=outcomes["WRONG"])
    report(log.finish(), sorted(targets))


def remember(localizer: Localizer) -> Remembered:
    """Let networks and look-up answer from memory; returned is the look-up, whose index can be damaged."""
    for network in (localizer.describer, localizer.orientation):
        if isinstance(network, PatchModel):
            network.rows_at = Remembered(network.rows_at)
    look_up = Remembered(localizer._index.search)
    localizer._index.search = look_up
    return look_up


def injected(
    localizer: Localizer,
    look_up: Remembered,
    pictures: list[tuple[dict, Bytes]],
    targets: dict[str, Target],
    number: int,
    seed: int,
) -> dict:
    """The record of one fault, drawn by its number; memory is afterwards as it was."""
    rng, names = np.random.default_rng([seed, number]), sorted(targets)
    name, shape = names[number % len(names)], SHAPES[number // len(names) % len(SHAPES)]
    row, picture = pictures[int(rng.integers(len(pictures)))]
    # As in flight, the scrubber is anywhere when the fault comes.
    localizer._scrubber._at = int(rng.integers(len(localizer._scrubber._blocks)))
    look_up.anew = name.startswith("faiss")
    with targets[name](rng) as memory:
        was = memory.copy()
        shape(memory, rng)
        outcome = judged(answer(localizer, picture, row), row)
        changed = bool((memory != was).any())
        unseen = changed and outcome != "PACK_CORRUPT" and not found(localizer)
        memory[:] = was
    localizer._scrubber.damage = None
    fault = {"index": number, "memory": name, "shape": shape.__name__, "file": row["file"]}
    return fault | {"outcome": outcome, "found": not unseen}


def report(records: list[dict], names: list[str]) -> None:
    print(f"\n{'memory':32}" + "".join(f"{name:>16}" for name in OUTCOMES) + f"{'found in a round':>18}")
    groups = [("memory", name) for name in names] + [("shape", shape.__name__) for shape in SHAPES]
    for key, name in groups:
        here = [record for record in records if record[key] == name]
        counts = Counter(record["outcome"] for record in here)
        shown = sum(record["found"] for record in here)
        print(f"{name:32}" + "".join(f"{counts[outcome]:16}" for outcome in OUTCOMES) + f"{shown:>18}")
    total = Counter(record["outcome"] for record in records)
    print(f"{'all':32}" + "".join(f"{total[outcome]:16}" for outcome in OUTCOMES))
    # Clopper and Pearson (1934), none observed: 1 - 0.05^(1/n).
    bound = "" if total["WRONG"] else f", at most {1 - 0.05 ** (1 / len(records)):.1e} a fault at 95 % confidence"
    print(f"{len(records)} faults, {total['WRONG']} wrong fixes{bound}", flush=True)


def chosen_frames(
    localizer: Localizer, folder: Path, rows: list[dict[str, str]], rng: np.random.Generator
) -> list[tuple[dict, Bytes]]:
    """As many frames without a fix as with one, each with its row; all right as long as memory is."""
    with_fix, without = [], []
    for row in rows:
        picture = read_image(folder / row["file"])
        fix = answer(localizer, picture, row)
        assert judged(fix, row) != "WRONG", row
        (with_fix if fix else without).append((row, picture))
    few = min(len(with_fix), len(without))
    return with_fix[:few] + [without[number] for number in rng.permutation(len(without))[:few].tolist()]


def answer(localizer: Localizer, picture: Bytes, row: dict[str, str]) -> Fix:
    altitude_m = float(row["altitude_km"]) * 1e3
    return localizer.localize(picture, altitude_m=(altitude_m, altitude_m * ALTITUDE_SIGMA))


def judged(fix: Fix, row: dict[str, str]) -> str:
    if fix.status is Status.FIX:
        off_m = distance_m(fix.lat_deg, fix.lon_deg, float(row["lat_deg"]), float(row["lon_deg"]))
        return "right" if off_m <= RIGHT_M else "WRONG"  # NaN is wrong
    if fix.status is Status.PACK_CORRUPT:
        return "PACK_CORRUPT"
    return "internal error" if fix.reason.startswith(INTERNAL_ERROR) else "refused"


def found(localizer: Localizer) -> bool:
    """Whether one round of the scrubber finds what is there."""
    for _ in range(localizer._scrubber.size // SLICE_BYTES + 2):
        if localizer._scrubber.damage is None:
            localizer._scrubber.damage = localizer._scrubber._look()
    return localizer._scrubber.damage is not None


def targets_of(localizer: Localizer, pack: Path) -> dict[str, Target]:
    """Everything that is used in flight and can be got at, by name: opens its bytes for a moment."""
    arrays = {**arrays_of(localizer.catalogue), **arrays_of(localizer._verifier)}
    faiss_arrays = index_arrays(localizer._index)
    arrays |= {name: array for name, array in faiss_arrays.items() if "centroids" in name}
    targets: dict[str, Target] = {name: in_array(array) for name, array in arrays.items()}
    for kind in ("codes", "ids"):
        lists = [array for name, array in faiss_arrays.items() if name.endswith(f" {kind}")]
        targets[f"faiss list {kind}"] = in_one_of(lists)
    targets["landmarks_codes.npy (mapped)"] = in_file(pack / "landmarks_codes.npy")
    for name in ("map_x", "mask", "centre_px"):
        targets[f"Rectifier.{name}"] = in_rectifier(localizer, name)
    targets["camera"] = in_values(localizer.camera, ("fx", "fy", "cx", "cy"))
    for name, limits in (("acceptance", localizer.agreement_acceptance), ("recognition", localizer.acceptance)):
        targets[name] = in_values(limits, ("anchor", "share", "decay", "limit"))
    targets["search"] = in_values(localizer.search, ("bin_m", "scale_ratio"))
    return targets


def in_array(array: NDArray) -> Target:
    @contextmanager
    def opened(rng: np.random.Generator) -> Iterator[Bytes]:
        yield array.reshape(-1).view(np.uint8)

    return opened


def in_one_of(arrays: list[NDArray]) -> Target:
    @contextmanager
    def opened(rng: np.random.Generator) -> Iterator[Bytes]:
        yield arrays[int(rng.integers(len(arrays)))].reshape(-1).view(np.uint8)

    return opened


def in_file(path: Path) -> Target:
    """The bytes behind the header of an array file."""

    @contextmanager
    def opened(rng: np.random.Generator) -> Iterator[Bytes]:
        mapped = np.memmap(path, np.uint8, "r+", offset=128)
        yield mapped

    return opened


def in_rectifier(localizer: Localizer, name: str) -> Target:
    """Of the one in use, which is made anew once it was found damaged."""

    @contextmanager
    def opened(rng: np.random.Generator) -> Iterator[Bytes]:
        made = rectifier(localizer.camera, GroundPlane(ALTITUDE_M), localizer.mission.gsd_m)
        part = getattr(made, name)
        if isinstance(part, np.ndarray):
            yield part.reshape(-1).view(np.uint8)
        else:
            yield Attribute(np.array(part).view(np.uint8)).bind(made, name)

    return opened


def in_values(thing: object, names: tuple[str, ...]) -> Target:
    """Float attributes of a frozen object, by a view of their bytes that writes through."""

    @contextmanager
    def opened(rng: np.random.Generator) -> Iterator[Bytes]:
        name = names[int(rng.integers(len(names)))]
        yield Attribute(np.array([getattr(thing, name)], np.float64).view(np.uint8)).bind(thing, name)

    return opened


class Attribute(np.ndarray):
    """The bytes of a float attribute, or of a tuple of them; what is written to them is written through."""

    def __new__(cls, data: Bytes) -> "Attribute":
        return data.view(cls)

    def bind(self, thing: object, name: str) -> "Attribute":
        self.thing, self.attribute = thing, name
        return self

    def __setitem__(self, key, value) -> None:  # type: ignore[no-untyped-def]
        super().__setitem__(key, value)
        if getattr(self, "thing", None) is not None:
            first, *more = np.asarray(self).view(np.float64).tolist()
            object.__setattr__(self.thing, self.attribute, (first, *more) if more else first)


def bit(memory: Bytes, rng: np.random.Generator) -> None:
    at = int(rng.integers(memory.size))
    memory[at] = memory[at] ^ np.uint8(1 << int(rng.integers(8)))


def burst(memory: Bytes, rng: np.random.Generator) -> None:
    _random_bytes(memory, min(memory.size, BURST_BYTES), rng)


def block(memory: Bytes, rng: np.random.Generator) -> None:
    _random_bytes(memory, min(memory.size, BLOCK_BYTES), rng)


def storm(memory: Bytes, rng: np.random.Generator) -> None:
    at = np.unique(rng.integers(memory.size, size=min(memory.size, STORM_BITS)))
    memory[at] = memory[at] ^ (np.uint8(1) << rng.integers(8, size=at.size).astype(np.uint8))


def _random_bytes(memory: Bytes, length: int, rng: np.random.Generator) -> None:
    at = int(rng.integers(memory.size - length + 1))
    memory[at : at + length] = rng.integers(256, size=length, dtype=np.uint8)


SHAPES = (bit, burst, block, storm)


if __name__ == "__main__":
    main()
