"""Memory that changes while flying is found, named, and ends every fix until the pack is loaded again."""

import shutil
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

from onboard import Fix, Localizer, Status
from onboard.checksums import BLOCK_BYTES
from onboard.errors import PackError
from onboard.intake import Rejected
from onboard.landmarks import index_arrays
from onboard.scrubber import NETWORK_EVERY, SLICE_BYTES, Block, Scrubber, arrays_of, blocks_of_arrays
from tests.look import look

NIGHT = np.zeros((640, 640, 3), np.uint8)


@pytest.fixture
def fresh(pack: Path) -> Localizer:
    return Localizer(pack)


def next_status(localizer: Localizer) -> Fix:
    """What comes within a round of slices, frame by frame."""
    for _ in range(localizer._scrubber.size // SLICE_BYTES + 2):
        fix = localizer.localize(NIGHT)
        if fix.status is not Status.DARK:
            return fix
    return fix


def test_sound_memory_stays_sound(fresh: Localizer) -> None:
    for _ in range(3):
        assert next_status(fresh).status is Status.DARK


def test_every_array_is_watched(fresh: Localizer, rng: np.random.Generator) -> None:
    arrays = {**arrays_of(fresh.catalogue), **arrays_of(fresh._verifier.grid), **index_arrays(fresh._index)}
    assert {"Catalogue.lat_deg", "Catalogue.unit", "LandmarkGrid.order", "faiss coarse centroids"} <= set(arrays)
    lists = [name for name in arrays if name.startswith("faiss list")]
    assert len(lists) == 2 * np.count_nonzero(fresh.catalogue.list_sizes)
    others = [name for name in arrays if name not in lists]
    for name in [*others, *rng.choice(lists, 6, replace=False)]:
        memory = arrays[name].reshape(-1).view(np.uint8)
        at, bit = int(rng.integers(memory.size)), 1 << int(rng.integers(8))
        memory[at] ^= bit
        fix = next_status(fresh)
        assert fix.status is Status.PACK_CORRUPT, name
        assert fix.reason.startswith(f"{name}: block {at // BLOCK_BYTES} "), fix.reason
        memory[at] ^= bit
        fresh._scrubber.damage = None
    assert next_status(fresh).status is Status.DARK


def test_a_file_that_changes_under_way(pack: Path, blue_marble: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(pack, tmp_path / "pack"))
    localizer = Localizer(copy)
    frame = look(blue_marble, localizer.camera, 35.0, 40.0, 700e3, 10.0)
    assert localizer.localize(frame).status is Status.FIX
    with (copy / "landmarks_codes.npy").open("r+b") as stream:
        stream.seek(-1000, 2)
        was = stream.read(1)
        stream.seek(-1000, 2)
        stream.write(bytes([was[0] ^ 4]))
    fix = next_status(localizer)
    assert fix.status is Status.PACK_CORRUPT and "landmarks_codes.npy: block" in fix.reason
    after = localizer.localize(frame)
    assert after.status is Status.PACK_CORRUPT and np.isnan(after.lat_deg), "from then on, until loaded again"
    with pytest.raises(PackError, match=r"landmarks_codes\.npy"):
        Localizer(copy)


@pytest.mark.parametrize(
    "what, name",
    [("acceptance", "anchor"), ("agreement_acceptance", "anchor"), ("camera", "cx"), ("search", "bin_m")],
)
def test_a_changed_limit_is_found_at_the_next_frame(pack: Path, what: str, name: str) -> None:
    localizer = Localizer(pack)
    thing = attrgetter(what)(localizer)
    was = getattr(thing, name)
    object.__setattr__(thing, name, float(np.nextafter(was, 0)))
    assert localizer.localize(NIGHT).status is Status.PACK_CORRUPT
    object.__setattr__(thing, name, was)
    assert localizer.localize(NIGHT).status is Status.PACK_CORRUPT, "nobody can say what else it did"


def test_an_error_makes_it_look_everywhere(fresh: Localizer, blue_marble: Path) -> None:
    """Landmark numbers that point nowhere: an exception deep in the search, and the memory behind it is named."""
    frame = look(blue_marble, fresh.camera, 35.0, 40.0, 700e3, 10.0)
    ids = [array for name, array in index_arrays(fresh._index).items() if name.endswith(" ids")]
    for array in ids:
        array[:] = 1 << 40
    fix = fresh.localize(frame)
    assert fix.status is Status.PACK_CORRUPT and "ids: block 0" in fix.reason, fix.reason


def test_a_slice_is_bounded_and_goes_round() -> None:
    memory = np.zeros(10 * BLOCK_BYTES, np.uint8)
    scrubber = Scrubber(blocks_of_arrays({"memory": memory}), lambda: b"")
    a_call = SLICE_BYTES // BLOCK_BYTES
    scrubber.check()
    memory[0] = 1  # looked at already: found in the next round
    for _ in range(10 // a_call - 1):
        scrubber.check()
    with pytest.raises(Rejected, match="memory: block 0"):
        scrubber.check()


def test_small_memory_is_looked_at_once_a_call() -> None:
    block = Block("small", memoryview(b"abc"), 0)
    with pytest.raises(Rejected, match="small"):
        Scrubber([block], lambda: b"").check()
    Scrubber([], lambda: b"").check()


def test_a_view_that_would_be_copied_is_refused() -> None:
    with pytest.raises(ValueError, match="not contiguous"):
        list(blocks_of_arrays({"columns": np.zeros((100, 4))[:, 1]}))


def test_the_network_is_asked_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the packaged pack, whose descriptors come from a network."""
    localizer = Localizer()
    network = localizer.describer._network  # type: ignore[attr-defined]
    right = network.run
    asked = []

    def wrong(inputs: np.ndarray) -> np.ndarray:
        asked.append(len(inputs))
        return right(inputs) + np.float32(0.5)

    monkeypatch.setattr(network, "run", wrong)
    dark = np.zeros((972, 1296, 3), np.uint8)
    statuses = [localizer.localize(dark) for _ in range(NETWORK_EVERY)]
    assert [fix.status for fix in statuses[:-1]] == [Status.DARK] * (NETWORK_EVERY - 1)
    assert statuses[-1].status is Status.PACK_CORRUPT and "known patches" in statuses[-1].reason and asked == [1]
