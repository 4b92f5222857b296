"""The flight runtime: a frame in, a Fix out.

    import onboard
    fix = onboard.localize(frame)

See docs/frames.md for frames, units and conventions.
"""

from onboard.camera import Camera
from onboard.camera_files import load_camera
from onboard.errors import (
    BudgetError,
    CameraError,
    ImageError,
    MissingPackageError,
    MissionError,
    MosaicError,
    NadirError,
    PackError,
)
from onboard.fix import Attitude, Fix, Prior, Status, Vertical
from onboard.localizer import Localizer, localize
from onboard.orbit_state import OrbitState, TrackStatus
from onboard.pack import default_pack
from onboard.tracker import Tracker
from onboard.whole_pass import whole_pass

__all__ = [
    "Attitude",
    "BudgetError",
    "Camera",
    "CameraError",
    "Fix",
    "ImageError",
    "Localizer",
    "MissingPackageError",
    "MissionError",
    "MosaicError",
    "NadirError",
    "OrbitState",
    "PackError",
    "Prior",
    "Status",
    "TrackStatus",
    "Tracker",
    "Vertical",
    "default_pack",
    "load_camera",
    "localize",
    "whole_pass",
]
