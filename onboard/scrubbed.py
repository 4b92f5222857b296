"""The memory of a localizer that is scrubbed: which arrays decide on a fix, and what each is held against."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import faiss

from onboard.camera import Camera
from onboard.describer import Describer, PatchNetwork
from onboard.landmarks import Catalogue, index_arrays
from onboard.orientation import OrientationNetwork
from onboard.pack import Pack
from onboard.patch_model import PatchModel
from onboard.scrubber import Scrubber, arrays_of, blocks_of_arrays, blocks_of_file
from onboard.verification import Verifier

# Of the arrays that are used without a copy; all others of the pack are read once, at load.
_MAPPED = (
    "landmarks_codes.npy",
    "landmarks_list_sizes.npy",
    "known_answer_patches.npy",
    "known_answer_descriptors.npy",
    "known_answer_directions.npy",
)


def memory_scrubber(
    pack: Pack,
    catalogue: Catalogue,
    index: faiss.IndexIVFPQFastScan,
    verifier: Verifier,
    describer: Describer,
    orientation: OrientationNetwork | None,
    camera: Camera,
    settings: Callable[[], bytes],
) -> Scrubber:
    """The scrubber of all that `Localizer` works with, when it has just been loaded.

    Out of reach: the weights inside ONNX Runtime or TensorRT (asked for a known answer instead) and what is made anew
    for a frame or a camera's size.
    """
    arrays = {**arrays_of(catalogue), **arrays_of(verifier.grid), **index_arrays(index)}
    if camera.mask is not None:
        arrays["the camera's mask"] = camera.mask
    files = (blocks_of_file(pack, name) for name in _MAPPED if name in pack.files)
    networks: list[tuple[PatchModel, str]] = []
    if isinstance(describer, PatchNetwork):
        networks.append((describer, "known_answer_descriptors"))
    if orientation is not None:
        networks.append((orientation, "known_answer_directions"))
    ask = partial(_ask, pack, networks) if networks else None
    return Scrubber(itertools.chain(blocks_of_arrays(arrays), *files), settings, ask)


def _ask(pack: Pack, networks: Sequence[tuple[PatchModel, str]], number: int) -> None:
    """Ask every network about the k-th known patch, modulo their number."""
    patches = pack.array("known_answer_patches")
    one = slice(number % len(patches), number % len(patches) + 1)
    for network, answer in networks:
        network.check(patches[one], pack.array(answer)[one])
