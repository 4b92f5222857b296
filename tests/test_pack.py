"""The flight pack: every byte is checked, and damage is named before anything is parsed."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from onboard import PackError
from onboard.checksums import BLOCK_BYTES, Checksum
from onboard.localizer import Localizer
from onboard.pack import open_pack, read_manifest, sealed_manifest


@pytest.fixture
def copy(pack: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pack, tmp_path / "pack"))


def test_opens_and_fits_its_budget(pack: Path) -> None:
    opened = open_pack(pack)
    assert opened.size <= opened.mission.pack_mb * 2**20
    assert opened.array("landmarks_lat").dtype == np.uint16
    assert not opened.array("landmarks_lat").flags.writeable


def test_every_flipped_bit_is_found(copy: Path, rng: np.random.Generator) -> None:
    for path in sorted(copy.iterdir()):
        whole = path.read_bytes()
        for at in rng.integers(0, len(whole), 3):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            with pytest.raises(PackError):
                Localizer(copy)
        path.write_bytes(whole)
    Localizer(copy)


@pytest.mark.parametrize("name", ["landmarks_codes.npy", "mission.yaml", "camera.yaml", "manifest.yaml"])
def test_missing_and_cut_files_are_named(copy: Path, name: str) -> None:
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PackError, match=name):
        Localizer(copy)
    (copy / name).unlink()
    with pytest.raises(PackError, match=name):
        Localizer(copy)


def test_no_pack_at_all(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="no flight pack"):
        Localizer(tmp_path)


def test_other_formats_are_refused(copy: Path) -> None:
    manifest = read_manifest(copy)
    (copy / "manifest.yaml").write_text(sealed_manifest({**manifest, "format": 99}))
    with pytest.raises(PackError, match="format 99"):
        open_pack(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"files": 3},
        {"files": {"../x": {}}},
        {"search": {"typo": 1}},
        {"acceptance": {}},
        {"acceptance": 7},
        {"recognition": {}},
        {"recognition": None},
    ],
)
def test_malformed_manifests_are_refused(copy: Path, change: dict) -> None:
    """Well sealed but senseless: a builder's fault, still no traceback."""
    manifest = read_manifest(copy)
    (copy / "manifest.yaml").write_text(sealed_manifest({**manifest, **change}))
    with pytest.raises(PackError):
        Localizer(copy)


def test_the_bad_block_is_named() -> None:
    data = bytearray(3 * BLOCK_BYTES)
    checksum = Checksum.of(data)
    data[2 * BLOCK_BYTES + 5] = 1
    with pytest.raises(PackError, match="block 2"):
        checksum.verify(data, "file")
    again = Checksum.from_plain(checksum.to_plain())
    assert again == checksum
