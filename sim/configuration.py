"""All that a campaign's result depends on, as plain JSON."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from onboard.mission import mission_yaml
from onboard.pack import MANIFEST
from sim.scenario import Scenario

_PACKAGES = ("nadir", "numpy", "opencv-python-headless", "astropy", "sgp4")


def configuration(scenario: Scenario, mosaics: list[Path], pack: Path | None) -> dict[str, Any]:
    """The configuration of a campaign; ``versions`` is for the record and not compared."""
    camera = scenario.mission.camera
    times = scenario.times
    return {
        "mission": mission_yaml(scenario.mission, camera.name),
        "camera": {
            "name": camera.name,
            "size": [camera.width, camera.height],
            "matrix": camera.matrix.tolist(),
            "model": camera.model,
            "distortion": list(camera.distortion),
            "masked": 0 if camera.mask is None else int((~camera.mask).sum()),
        },
        "mosaics": [{"file": path.name, "bytes": path.stat().st_size} for path in mosaics],
        "pack": None if pack is None else hashlib.sha256((pack / MANIFEST).read_bytes()).hexdigest(),
        "seed": scenario.seed,
        "first_position_ecef_m": np.round(scenario.orbit.states(times[:1])[0][0], 1).tolist(),
        "frames": len(times),
        "times_utc": [np.datetime_as_string(time, "us") + "Z" for time in times],
        "cloud_cover": scenario.cloud_cover,
        "versions": {name: version(name) for name in _PACKAGES},
    }
