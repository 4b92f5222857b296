"""What a tracker holds while it knows the orbit: where it runs, how the camera is held along it, what speaks for it."""

from dataclasses import dataclass, replace

import numpy as np

from onboard.fix import Fix
from onboard.geodesy import Array
from onboard.hypothesis import Hypothesis
from onboard.orbit_filter import GATE_2, distance2, predict, update
from onboard.orbit_fit import Measurement, OrbitEstimate
from onboard.orbit_measurement import measurement_of, seen_anew
from onboard.orbit_motion import track_rad
from onboard.orbit_places import heading_of
from onboard.orbit_smoother import smoothed
from onboard.orbit_state import OrbitState, TrackStatus, horizontal_sigma_m, state_of
from onboard.pose import PoseKnowledge

LOST_SIGMA_M = 500e3  # a prediction this vague says nothing that searching would not
LONGEST_GAP_S = 86400.0
_MOUNT_GAIN = 0.2  # how fast the camera's heading along the track follows what fixes say


@dataclass(frozen=True, eq=False)
class TrackedOrbit:
    """estimate: position and velocity at its time; mount_deg: azimuth of the image's up direction less that of flight;
    frames_used; founders_s: when the frames were taken that it was found by; used: the estimate after the newest of its
    frames; chance: that the orbit is a false one; measurement: what the estimate was updated with, None where it was
    not."""

    estimate: OrbitEstimate
    mount_deg: float
    frames_used: int
    founders_s: tuple[float, ...]
    used: OrbitEstimate
    chance: float
    measurement: Measurement | None = None

    @property
    def unit(self) -> Array:
        """Unit vector (3,) of the position, ECEF."""
        position = self.estimate.state[:3]
        return np.asarray(position / np.linalg.norm(position))

    @property
    def heading_deg(self) -> float:
        """Azimuth of the image's up direction, as the orbit has it."""
        return track_deg(self.estimate) + self.mount_deg

    def at(self, time_s: float) -> "TrackedOrbit | None":
        """Predicted for another time, before or after; None for one that is so far off that the prediction says
        nothing: LONGEST_GAP_S from the newest of its frames, or where its sigma reaches LOST_SIGMA_M."""
        if abs(time_s - self.used.time_s) > LONGEST_GAP_S:
            return None
        there = replace(self, estimate=predict(self.estimate, time_s), measurement=None)
        return there if horizontal_sigma_m(there.estimate) < LOST_SIGMA_M else None

    def explains(self, hypothesis: Hypothesis, known: PoseKnowledge) -> bool:
        """Whether a place of a frame of this time lies within the gate."""
        measurement = measurement_of(hypothesis, known, self.estimate.time_s)
        return distance2(self.estimate, measurement) < GATE_2

    def using(self, hypothesis: Hypothesis, known: PoseKnowledge) -> "TrackedOrbit":
        """After a place of a frame of this time was measured. The motion since the newest frame is taken as it is
        between what both tell: after hours without a frame a prediction knows speeds by a line that is a curve."""
        now_s = self.estimate.time_s
        measurement = seen_anew(measurement_of(hypothesis, known, now_s), now_s - self.used.time_s)
        _, estimate = smoothed([self.used, update(self.estimate, measurement)], [None, measurement])
        turn = (heading_of(hypothesis) - track_deg(estimate) - self.mount_deg + 180) % 360 - 180
        mount_deg = float(self.mount_deg + _MOUNT_GAIN * turn) % 360
        return replace(
            self, estimate=estimate, mount_deg=mount_deg, frames_used=self.frames_used + 1, used=estimate,
            measurement=measurement,
        )  # fmt: skip

    def state(self, status: TrackStatus, reason: str, timestamp_ns: int, fix: Fix | None = None) -> OrbitState:
        """As it is answered."""
        return state_of(
            self.estimate, status, reason, timestamp_ns, mount_heading_deg=self.mount_deg,
            frames_used=self.frames_used, false_track_probability=self.chance, fix=fix,
        )  # fmt: skip


def track_deg(estimate: OrbitEstimate) -> float:
    """Azimuth of flight."""
    return float(np.degrees(track_rad(estimate.state)))
