"""The flight pack: every byte is checked, and damage is named before anything is parsed."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from onboard import PackError
from onboard.camera_files import load_camera, save_camera
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


def test_an_empty_manifest_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").touch()
    with pytest.raises(PackError, match="is damaged or was edited"):
        open_pack(tmp_path)


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
        {"recognition": {"anchor": 5.0, "share": 0.1, "decay": 1.0, "exceedances": float("inf"), "limit": 1e-5}},
        {"recognition": {"anchor": float("nan"), "share": 0.1, "decay": 1.0, "exceedances": 9, "limit": 1e-5}},
        {"search": {"neighbours": float("inf")}},
        {"search": {"neighbours": 10**7}},
        {"search": {"probes": 0}},
        {"search": {"bin_m": float("nan")}},
    ],
)
def test_malformed_manifests_are_refused(copy: Path, change: dict) -> None:
    """Well sealed but senseless: a builder's fault, still no traceback."""
    manifest = read_manifest(copy)
    (copy / "manifest.yaml").write_text(sealed_manifest({**manifest, **change}))
    with pytest.raises(PackError):
        Localizer(copy)


@pytest.mark.parametrize(
    "name, other",
    [
        ("list_sizes", lambda sizes: -sizes.astype(np.int32)),
        ("list_sizes", lambda sizes: np.roll(np.append(sizes[:-1], sizes[-1] + 1), 1)),
        ("codebook", lambda book: np.ascontiguousarray(book[:, :2])),
        ("codebook", lambda book: np.full_like(book, np.nan)),
        ("coarse", lambda centroids: np.full_like(centroids, np.inf)),
        ("codes", lambda codes: codes.astype(np.int8)),
        ("lat", lambda lat: np.full(len(lat), np.nan)),
        ("lon", lambda lon: lon[:, None]),
        ("scale", lambda scale: scale[:-1]),
    ],
)
def test_landmarks_that_no_builder_writes_are_refused(
    copy: Path, name: str, other: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Well sealed, too: faiss would read beside its lists, or a place be nowhere."""
    file = copy / f"landmarks_{name}.npy"
    np.save(file, other(np.load(file)))
    seal_again(copy)
    with pytest.raises(PackError, match="landmark"):
        Localizer(copy)


def test_what_nothing_vouches_for_is_not_read(copy: Path) -> None:
    """The mission, its camera and that one's mask decide where things are seen: they belong to what is sealed."""
    (copy.parent / "camera.yaml").write_bytes((copy / "camera.yaml").read_bytes())
    mission = (copy / "mission.yaml").read_text()
    (copy / "mission.yaml").write_text(mission.replace("camera: camera.yaml", "camera: ../camera.yaml"))
    seal_again(copy)
    with pytest.raises(PackError, match=r"\.\./camera\.yaml is not in its manifest"):
        open_pack(copy)
    (copy / "mission.yaml").write_text(mission)
    seal_again(copy, without=["mission.yaml"])
    with pytest.raises(PackError, match=r"mission\.yaml is not in its manifest"):
        open_pack(copy)
    camera = load_camera(copy / "camera.yaml")
    save_camera(replace(camera, mask=np.ones((camera.height, camera.width), bool)), copy / "camera.yaml")
    seal_again(copy, without=["camera_mask.png"])
    with pytest.raises(PackError, match=r"camera_mask\.png is not in its manifest"):
        open_pack(copy)


def seal_again(pack: Path, without: Sequence[str] = ()) -> None:
    """Write a manifest that vouches for all that lies in a pack but what is left out."""
    names = {path.name for path in pack.iterdir()} - {"manifest.yaml", *without}
    files = {name: Checksum.of((pack / name).read_bytes()).to_plain() for name in sorted(names)}
    (pack / "manifest.yaml").write_text(sealed_manifest({**read_manifest(pack), "files": files}))


def test_the_bad_block_is_named() -> None:
    data = bytearray(3 * BLOCK_BYTES)
    checksum = Checksum.of(data)
    data[2 * BLOCK_BYTES + 5] = 1
    with pytest.raises(PackError, match="block 2"):
        checksum.verify(data, "file")
    again = Checksum.from_plain(checksum.to_plain())
    assert again == checksum
