"""The flight pack: one directory, every byte checked before it is parsed, arrays memory-mapped."""

import hashlib
import io
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from onboard.checksums import Checksum
from onboard.errors import PackError
from onboard.mission import Mission, load_mission

FORMAT = 1
MANIFEST = "manifest.yaml"
_SEAL = "# sha256: "


def default_pack() -> Path:
    """The pack named by $NADIR_PACK, else the packaged one."""
    named = os.environ.get("NADIR_PACK")
    return Path(named) if named else Path(__file__).parent / "packs" / "iss-405km"


def default_network(name: str) -> Path:
    """The packaged network of a name, "descriptor" or "orientation", from which packs are built."""
    return Path(__file__).parent / "models" / f"{name}.onnx"


@dataclass(frozen=True, eq=False)
class Pack:
    """An opened and verified pack: its manifest, its mission, and its files as read-only memory maps."""

    path: Path
    manifest: Mapping[str, Any]
    mission: Mission
    files: Mapping[str, memoryview]

    def array(self, name: str) -> NDArray:
        """The array stored as ``name``.npy, without a copy."""
        file = f"{name}.npy"
        if file not in self.files:
            raise PackError(f"{self.path}: has no {file}; rebuild it with 'nadir index build'")
        return _array(self.files[file], f"{self.path}/{file}")

    def file(self, name: str) -> bytes:
        """The bytes of a file, checked when the pack was opened."""
        if name not in self.files:
            raise PackError(f"{self.path}: has no {name}; rebuild it with 'nadir index build'")
        return bytes(self.files[name])

    @property
    def size(self) -> int:
        """Bytes of all files, manifest included."""
        return sum(map(len, self.files.values())) + (self.path / MANIFEST).stat().st_size


def open_pack(path: str | Path) -> Pack:
    """Open a pack and check every byte of it. Raises PackError saying which file is damaged and what to do."""
    path = Path(path)
    manifest = read_manifest(path)
    files = {}
    try:
        for name, plain in manifest["files"].items():
            if Path(name).name != name:
                raise PackError(f"{path}/{MANIFEST}: {name!r} is no plain file name")
            data = _map(path / name)
            Checksum.from_plain(plain).verify(data, f"{path}/{name}")
            files[name] = data
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PackError(f"{path}/{MANIFEST}: its file table is malformed ({error})") from error

    def sealed(name: str) -> Path:
        if name not in files:
            raise PackError(
                f"{path}: {name} is not in its {MANIFEST}, so that nothing vouches for it; rebuild the pack"
            )
        return path / name

    return Pack(path, manifest, load_mission(sealed("mission.yaml"), sealed), files)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest, checked against the hash in its first line and for the format version."""
    try:
        seal, _, body = (path / MANIFEST).read_text(encoding="utf-8").partition("\n")
    except FileNotFoundError as error:
        raise PackError(
            f"{path}: is no flight pack (no {MANIFEST}); name one with --pack or $NADIR_PACK, "
            "or build one with 'nadir index build'"
        ) from error
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise PackError(f"{path}/{MANIFEST}: cannot be read ({error})") from error
    if seal != _SEAL + hashlib.sha256(body.encode()).hexdigest():
        raise PackError(f"{path}/{MANIFEST}: is damaged or was edited by hand; copy or rebuild the pack")
    try:
        manifest = yaml.safe_load(body)
    except (yaml.YAMLError, RecursionError) as error:
        raise PackError(f"{path}/{MANIFEST}: is no YAML; rebuild the pack") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise PackError(f"{path}: pack format {found}, this runtime reads {FORMAT}; rebuild the pack")
    return manifest


def sealed_manifest(manifest: Mapping[str, Any]) -> str:
    """The manifest's text with the hash of its body in the first line."""
    body = yaml.safe_dump(dict(manifest), sort_keys=False, default_flow_style=None, width=120)
    return f"{_SEAL}{hashlib.sha256(body.encode()).hexdigest()}\n{body}"


def _map(path: Path) -> memoryview:
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror}); copy the pack again") from error


def _array(data: memoryview, name: str) -> NDArray:
    header = io.BytesIO(bytes(data[:4096]))
    try:
        version = np.lib.format.read_magic(header)
        if version != (1, 0):
            raise ValueError(f"npy version {version}")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(header)
        if fortran or dtype.hasobject:
            raise ValueError("must be C-ordered plain numbers")
        return np.frombuffer(data, dtype, int(np.prod(shape)), header.tell()).reshape(shape)
    except ValueError as error:
        raise PackError(f"{name}: is no array of this format ({error})") from error
