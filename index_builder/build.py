"""Mosaic to flight pack, within the byte budget or refused with the numbers."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index_builder.calibration import wrong_places
from index_builder.crew import Crew, on_all_cores
from index_builder.extraction import Networks, extract_landmarks
from index_builder.mosaic import Mosaic
from index_builder.pack_writer import SEALED, PackWriter, replaceable
from index_builder.quantization import quantize
from index_builder.selection import selected
from onboard.acceptance import Acceptance, fit_acceptance
from onboard.describer import PatchNetwork, RootSift
from onboard.engine_file import SUFFIX as ENGINE_SUFFIX
from onboard.errors import BudgetError, MosaicError
from onboard.known_answer import known_patches
from onboard.landmarks import to_arrays
from onboard.mission import Mission
from onboard.orientation import OrientationNetwork
from onboard.pack import open_pack
from onboard.search import Search

DIMENSIONS_A_CODE = 2  # of four bits; coarser codes cost a frame in nine (docs/decisions.md)
_PLACE_BYTES = 6  # latitude, longitude, angle, scale
_FEWEST_LANDMARKS = 1000
_OVERHEAD_BYTES = 300_000  # manifest, camera, mask, codebook, known answer, array headers
# Built on the device for the networks of a pack, and in no manifest (docs/jetson.md).
_OF_THE_DEVICE = (f"*{ENGINE_SUFFIX}", "timing-*.cache")

CALIBRATION_FRAMES = 1500  # a tail of some dozen views that show something at a wrong place; a quarter of an hour

DESCRIPTOR, ORIENTATION = "descriptor.onnx", "orientation.onnx"  # names in the pack


@dataclass(frozen=True)
class BuildOptions:
    """budget_mb: MiB of the whole pack, the mission's when None; calibration_frames: mirrored views that set the
    acceptance; networks: turn and describe the landmarks and are carried along, SIFT and RootSIFT when None;
    crew: does the work."""

    budget_mb: float | None = None
    calibration_frames: int = CALIBRATION_FRAMES
    seed: int = 0
    networks: Networks | None = None
    crew: Crew = on_all_cores


def build_pack(
    mission: Mission, mosaic: Mosaic, out: Path, options: BuildOptions, progress: Callable[[str, int, int], None]
) -> Acceptance:
    """Build and publish the pack; returns its acceptance. ``progress``: stage, done, total.

    Raises MosaicError when the band shows no land, BudgetError when no useful pack fits, PackError when ``out`` holds
    something else. What is done lies in ``out``.work until the pack is whole.
    """
    out = replaceable(out)
    carried = 0 if options.networks is None else sum(path.stat().st_size for path in vars(options.networks).values())
    budget = (mission.pack_mb if options.budget_mb is None else options.budget_mb) * 2**20
    mosaic.check_gsd(1.5 * mission.gsd_m)
    dimension = RootSift.dim if options.networks is None else PatchNetwork(options.networks.descriptor).dim
    _size_for(budget, carried, dimension, available=10**9)  # refused here, before the work
    work = _work_of(out)
    landmarks = extract_landmarks(
        mosaic, mission.latitude_band_deg, mission.gsd_m, options.networks, work,
        lambda done, total: progress("extract", done, total), options.crew,
    )  # fmt: skip
    if landmarks is None:
        raise MosaicError(
            f"no land between latitudes {mission.latitude_band_deg} in {', '.join(map(str, mosaic.paths))}"
        )
    count, lists = _size_for(budget, carried, dimension, len(landmarks))
    progress("select", 0, 1)
    landmarks = selected(landmarks, count, lists)
    progress("quantize", 0, 1)
    quantized = quantize(landmarks.descriptors, dimension // DIMENSIONS_A_CODE, lists, options.seed)
    landmarks = landmarks[quantized.order]

    search = Search(bin_m=27 * mission.gsd_m)
    writer = PackWriter(out, mission)
    if options.networks is not None:
        writer.add_file(options.networks.descriptor, DESCRIPTOR)
        writer.add_file(options.networks.orientation, ORIENTATION)
        patches = known_patches()
        answers: dict[str, NDArray] = {
            "patches": patches,
            "descriptors": PatchNetwork(options.networks.descriptor).encode(patches),
            "directions": OrientationNetwork(options.networks.orientation).encode(patches),
        }
        writer.add_arrays("known_answer", answers)
    writer.manifest.update(
        seed=options.seed,
        landmarks=len(landmarks),
        descriptor_network=None if options.networks is None else DESCRIPTOR,
        orientation_network=None if options.networks is None else ORIENTATION,
        search=asdict(search),
        mosaics=mosaic.provenance(),
    )
    places = to_arrays(
        landmarks.lat_deg, landmarks.lon_deg, landmarks.angle_deg, landmarks.scale_px, mission.latitude_band_deg
    )
    codes = {name: getattr(quantized, name) for name in ("codes", "list_sizes", "coarse", "codebook")}
    writer.add_arrays("landmarks", {**places, **codes})
    size = _seal_accepting_nothing(writer)
    if size > budget:
        raise BudgetError(f"the pack takes {size / 2**20:.2f} MiB of {budget / 2**20:g}; raise the budget")
    acceptance = _calibrate(writer, mosaic, options.calibration_frames, options.seed, progress, options.crew)
    _publish(writer)
    return acceptance


def recalibrate_pack(
    path: Path, mosaic: Mosaic, frames: int, seed: int, progress: Callable[[str, int, int], None]
) -> Acceptance:
    """Draw a pack's acceptance anew, from so many mirrored views, and put it in the pack's place: for a runtime that
    looks in another way than the one it was built with. Raises PackError, and MosaicError when the mosaic is not the
    pack's."""
    pack, path = open_pack(path), path.resolve()
    here, told = mosaic.provenance(), pack.manifest["mosaics"]
    if here != told:
        raise MosaicError(f"{path}: was not built from {_names(here)} as it is here; give it {_names(told)} as it was")
    writer = PackWriter(path, pack.mission)
    for name in pack.files:
        writer.add_file(path / name, name)
    writer.manifest.update({key: value for key, value in pack.manifest.items() if key not in SEALED})
    _seal_accepting_nothing(writer)
    acceptance = _calibrate(writer, mosaic, frames, seed, progress, on_all_cores)
    for pattern in _OF_THE_DEVICE:
        for file in path.glob(pattern):
            shutil.copyfile(file, writer.part / file.name)
    _publish(writer)
    return acceptance


def _names(provenance: list[dict]) -> str:
    """Files of mosaics, and what was read with them, for people."""
    return ", ".join(
        str(one["file"]) + "".join(f" with {beside['file']}" for beside in one.get("with", [])) for one in provenance
    )


def _seal_accepting_nothing(writer: PackWriter) -> int:
    """Seal a pack to be calibrated: every view is looked at in full; returns its size in bytes."""
    for name in ("acceptance", "recognition"):
        writer.manifest[name] = Acceptance.none(writer.mission.false_fix_probability).to_plain()
    return writer.seal()


def _calibrate(
    writer: PackWriter, mosaic: Mosaic, frames: int, seed: int, progress: Callable[[str, int, int], None], crew: Crew
) -> Acceptance:
    """Give a sealed pack its acceptance."""
    wrong = wrong_places(
        mosaic, writer.part, frames, seed, _work_of(writer.out),
        lambda done, total: progress("calibrate", done, total), crew,
    )  # fmt: skip
    # Agreements are what a tracker weighs, recognition is what a single frame's fix is judged by.
    for name, scores in (("acceptance", wrong.scores), ("recognition", wrong.weights)):
        writer.manifest[name] = fit_acceptance(scores, writer.mission.false_fix_probability).to_plain()
        writer.manifest[f"wrong_{name}"] = np.quantile(scores, [0.5, 0.9, 0.99, 1.0]).round(2).tolist()
    writer.manifest |= {"calibration_frames": frames, "calibration_seed": seed}
    writer.seal()
    return Acceptance.from_plain(writer.manifest["recognition"])


def _publish(writer: PackWriter) -> None:
    writer.publish()
    shutil.rmtree(_work_of(writer.out), ignore_errors=True)


def _work_of(out: Path) -> Path:
    return out.with_name(out.name + ".work")


def _size_for(budget: float, carried: int, dimension: int, available: int) -> tuple[int, int]:
    """How many landmarks, described by so many numbers, and how many inverted lists fit a budget in bytes of which the
    networks take ``carried``."""
    each = _PLACE_BYTES + dimension // DIMENSIONS_A_CODE // 2
    list_bytes = 2 * dimension + 4
    if available < _FEWEST_LANDMARKS:
        raise MosaicError(
            f"the mosaic shows {available} landmarks in the mission's band, {_FEWEST_LANDMARKS} are the least; "
            "widen latitude_band_deg, lower gsd_m or bring a larger mosaic"
        )
    room = budget - carried - _OVERHEAD_BYTES
    count = min(available, int(room / each))
    lists = 2 ** int(np.clip(np.round(np.log2(4 * np.sqrt(max(count, 1)))), 4, 10))
    room = int((room - lists * list_bytes) / each)
    if room < _FEWEST_LANDMARKS:
        raise BudgetError(
            f"{budget / 2**20:g} MiB, of which the networks take {carried / 2**20:.2f}, hold {max(room, 0)} landmarks, "
            f"{_FEWEST_LANDMARKS} are the least; raise the budget"
        )
    return min(available, room), lists
