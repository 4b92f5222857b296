"""Writes a flight pack: into a directory of a temporary name, renamed when it is whole."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.camera_files import save_camera
from onboard.checksums import Checksum
from onboard.errors import PackError
from onboard.mission import Mission, mission_yaml
from onboard.pack import FORMAT, MANIFEST, sealed_manifest

SEALED = ("format", "built_with", "files")  # entries of a manifest that `PackWriter.seal` writes itself


@dataclass
class PackWriter:
    """Collects the files of a pack under ``OUT.part``; `seal` writes the manifest, `publish` gives the final name."""

    out: Path
    mission: Mission
    manifest: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.part = self.out.with_name(self.out.name + ".part")
        shutil.rmtree(self.part, ignore_errors=True)
        self.part.mkdir(parents=True)
        save_camera(self.mission.camera, self.part / "camera.yaml")
        (self.part / "mission.yaml").write_text(mission_yaml(self.mission, "camera.yaml"), encoding="utf-8")

    def add_arrays(self, prefix: str, arrays: Mapping[str, NDArray]) -> None:
        for name, array in arrays.items():
            np.save(self.part / f"{prefix}_{name}.npy", np.ascontiguousarray(array), allow_pickle=False)

    def add_file(self, source: Path, name: str) -> None:
        shutil.copyfile(source, self.part / name)

    def seal(self) -> int:
        """Write the manifest over all files; returns the pack's size in bytes."""
        files = sorted(path for path in self.part.iterdir() if path.name != MANIFEST)
        plain = {
            "format": FORMAT,
            "built_with": f"nadir {version('nadir')}",
            **self.manifest,
            "files": {path.name: Checksum.of(path.read_bytes()).to_plain() for path in files},
        }
        (self.part / MANIFEST).write_text(sealed_manifest(plain), encoding="utf-8")
        return sum(path.stat().st_size for path in self.part.iterdir())

    def publish(self) -> None:
        """Put the pack in its place; an older one there is replaced only now."""
        old = self.out.with_name(f".{self.out.name}.replaced")
        if self.out.exists():
            shutil.rmtree(old, ignore_errors=True)
            self.out.rename(old)
        self.part.rename(self.out)
        shutil.rmtree(old, ignore_errors=True)


def replaceable(out: Path) -> Path:
    """``out``, absolute, if a pack may be put there: nothing is, or a pack. Raises PackError otherwise."""
    out = out.resolve()
    if out.exists() and not (out / MANIFEST).exists() and (not out.is_dir() or any(out.iterdir())):
        raise PackError(f"{out}: is there already and no flight pack; name a directory that a pack may have to itself")
    return out
