"""All that a campaign's result depends on, as plain JSON."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.acceptance import UNCALIBRATED, Acceptance
from onboard.errors import PackError
from onboard.identity import code_sha256, file_identity, file_sha256
from onboard.mission import Mission, mission_yaml
from onboard.pack import MANIFEST, default_pack, open_pack
from sim.scenario import Scenario

RECORDS = 2  # what a line of truth.jsonl and fixes.jsonl holds; another number, another campaign
_PACKAGES = ("nadir", "numpy", "opencv-python-headless", "faiss-cpu", "astropy", "sgp4")


def configuration(scenario: Scenario, mosaics: list[Path], pack: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a campaign; ``versions`` need not be the same to go on with it. pack: `pack_identity`."""
    camera = scenario.mission.camera
    return {
        "records": RECORDS,
        "scenario": scenario.name,
        "seed": scenario.seed,
        "mission": mission_yaml(scenario.mission, camera.name),
        "camera": {
            "name": camera.name,
            "size": [camera.width, camera.height],
            "matrix": camera.matrix.tolist(),
            "model": camera.model,
            "distortion": list(camera.distortion),
            "mask_sha256": None if camera.mask is None else _mask_sha256(camera.mask),
        },
        "mosaics": [file_identity(path) for path in mosaics],
        "pack": pack,
        "settings": scenario.settings(),
        "versions": versions(),
    }


def pack_of(named: Path | None, mission: Mission) -> Path:
    """The pack to fly, opened once: better refused here than in every worker. Raises PackError, also where it is
    another mission's."""
    pack = Path(named or default_pack()).absolute()
    opened = open_pack(pack)
    if opened.mission.name != mission.name:
        raise PackError(
            f"{pack}: is of mission {opened.mission.name!r}, not {mission.name!r}; name that one's with --pack"
        )
    if Acceptance.from_plain(opened.manifest.get("recognition", {})).nothing:
        raise PackError(f"{pack}: {UNCALIBRATED}")
    return pack


def pack_identity(pack: Path) -> dict[str, Any]:
    """Which pack it is, for `configuration`."""
    return {"name": pack.name, "manifest_sha256": file_sha256(pack / MANIFEST)}


def versions() -> dict[str, str]:
    """Of the packages and of the code that answers follow from."""
    return {name: version(name) for name in _PACKAGES} | {"code_sha256": code_sha256("onboard", "sim")}


def _mask_sha256(mask: NDArray[np.bool_]) -> str:
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
