"""An orbit looked back upon: what later frames say of where the satellite was at earlier ones.

A filter knows at every frame what the frames before it told. Afterwards those that follow tell as much again, above all
over ocean and night, where a prediction from one side alone runs off (Rauch, Tung and Striebel, AIAA Journal 1965).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onboard.geodesy import Array
from onboard.orbit_filter import bent, way_to
from onboard.orbit_fit import LEAN, OrbitEstimate
from onboard.tracked_orbit import TrackedOrbit


def smoothed(filtered: Sequence[TrackedOrbit]) -> list[TrackedOrbit]:
    """One orbit as it was held after each frame, in order of time, now by all of its frames. Each must have been
    predicted from the one before; where a frame was used it was updated with that."""
    known = list(filtered[-1:])
    for orbit, later in zip(filtered[-2::-1], filtered[:0:-1], strict=True):
        used = later.used_s == later.estimate.time_s
        known.append(replace(orbit, estimate=_looking_back(orbit.estimate, known[-1].estimate, used)))
    return known[::-1]


def _looking_back(estimate: OrbitEstimate, later: OrbitEstimate, used: bool) -> OrbitEstimate:
    """An estimate with what all frames say of the orbit ``later``; used: a frame was, there. The covariance in the form
    that stays positive: what the later moment leaves open, and how well that is known."""
    way = way_to(estimate, later.time_s)
    there, noise = way.there, way.noise
    if used:  # an update takes the bend of a vague prediction for noise: so it must be taken here, or its gain explodes
        there = bent(way.there)
        noise = noise + there.covariance - way.there.covariance
    gain = _solved(there.covariance, way.transition @ estimate.covariance).T
    step = gain @ np.concatenate([later.state - there.state, later.lean - there.lean])
    kept = np.eye(len(step)) - gain @ way.transition
    covariance = kept @ estimate.covariance @ kept.T + gain @ (noise + later.covariance) @ gain.T
    state, lean = estimate.state + step[:6], estimate.lean + step[LEAN]
    return OrbitEstimate(estimate.time_s, state, lean, (covariance + covariance.T) / 2)


def _solved(covariance: Array, right: Array) -> Array:
    """``covariance`` divided into ``right``, each number in units of its own sigma: metres and leans are 1e6 apart."""
    scale = np.sqrt(np.diag(covariance))[:, None]
    return np.asarray(np.linalg.solve(covariance / (scale * scale.T), right / scale) / scale)
