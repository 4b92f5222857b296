"""The memory of a localizer that is scrubbed: which arrays decide on a fix, and what each is held against."""

import itertools
from collections.abc import Callable
from functools import partial

import faiss

from onboard.camera import Camera
from onboard.describer import Describer, PatchNetwork
from onboard.landmarks import Catalogue, index_arrays
from onboard.pack import Pack
from onboard.scrubber import Scrubber, arrays_of, blocks_of_arrays, blocks_of_file
from onboard.verification import Verifier

# Of the arrays that are used without a copy; all others of the pack are read once, at load.
_MAPPED = (
    "landmarks_codes.npy",
    "landmarks_list_sizes.npy",
    "known_answer_patches.npy",
    "known_answer_descriptors.npy",
)


def memory_scrubber(
    pack: Pack,
    catalogue: Catalogue,
    index: faiss.IndexIVFPQFastScan,
    verifier: Verifier,
    describer: Describer,
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
    network = partial(_ask, pack, describer) if isinstance(describer, PatchNetwork) else None
    return Scrubber(itertools.chain(blocks_of_arrays(arrays), *files), settings, network)


def _ask(pack: Pack, network: PatchNetwork, number: int) -> None:
    """Have the k-th known patch described, modulo their number."""
    patches, descriptors = pack.array("known_answer_patches"), pack.array("known_answer_descriptors")
    at = number % len(patches)
    network.check(patches[at : at + 1], descriptors[at : at + 1])
