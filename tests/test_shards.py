"""Shards: damage is named with what to do about it, and a training knows them by their content."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.keypoint_pairs import PatchPairs
from export.patch_evaluate import FEWEST, read_held_out
from export.shards import TRAINING, ShardError, digest, read_shards, write_shards
from export.training_looks import Earths, LookSettings
from tests.random_pairs import some_pairs

SETTINGS = LookSettings(places=2, looks=1, places_a_shard=1)
EARTHS = Earths((Path("F.tif"),), (Path("F.tif"),))


def write(out: Path, count: int = 20) -> None:
    write_shards(EARTHS, SETTINGS, out, lambda places, show: [(False, some_pairs(count))], lambda *_: None)


@pytest.mark.parametrize("kept", [0, 4, 1000])
def test_a_damaged_shard_is_named(kept: int, tmp_path: Path) -> None:
    write(tmp_path)
    shard = tmp_path / "shard-1.npz"
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(ShardError, match=r"shard-1\.npz: damaged .* remove it and its \.done and rerun"):
        read_shards([tmp_path], TRAINING, PatchPairs)


def test_a_damaged_count_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "shard-0.done").write_text("")
    with pytest.raises(ShardError, match=r"shard-0\.done: damaged"):
        write(tmp_path)
    (tmp_path / "shard-0.done").unlink()
    write(tmp_path)
    assert (tmp_path / "shard-0.done").read_text() == "20"


def test_a_digest_is_of_content_and_order() -> None:
    first, second = some_pairs(5, 1), some_pairs(5, 2)
    assert digest(PatchPairs.concatenate([first, second])) == digest(PatchPairs.concatenate([first, second]))
    assert digest(PatchPairs.concatenate([first, second])) != digest(PatchPairs.concatenate([second, first]))
    assert digest(first) != digest(replace(first, gsd_m=first.gsd_m + 1))


def test_too_few_pairs_to_measure_on_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "held-out-0.npz", **vars(some_pairs(FEWEST)))
    assert len(read_held_out([tmp_path])) == 16
    np.savez(tmp_path / "held-out-0.npz", **vars(some_pairs(FEWEST - 1)))
    with pytest.raises(ShardError, match="15 held-out pairs, of 16"):
        read_held_out([tmp_path])
