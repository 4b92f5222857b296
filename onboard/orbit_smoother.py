"""An orbit looked back upon: what later frames say of where the satellite was at earlier ones.

A filter knows at every frame what the frames before it told. Afterwards those that follow tell as much again, above all
over ocean and night, where a prediction from one side alone runs off (Rauch, Tung and Striebel, AIAA Journal 1965).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onboard.geodesy import Array
from onboard.orbit_filter import Way, corrected, way_to
from onboard.orbit_fit import LEAN, Measurement, OrbitEstimate

_ITERATIONS = 10  # three to five are enough even after eighty minutes (docs/decisions.md)
_SETTLED_M = 10.0  # velocities, in metres a second, and leans are far smaller


def smoothed(filtered: Sequence[OrbitEstimate], measured: Sequence[Measurement | None]) -> list[OrbitEstimate]:
    """One orbit at several moments, in order of time, by all that was measured. filtered: as a filter has it, each
    predicted from the one before; measured: what it then was updated with there, the first's aside.

    A filter that has coasted for half a revolution knows the satellite to hundreds of kilometres of a curve that it
    takes for straight. Looked back upon, each moment is known far better: so the motion between two frames is taken
    anew as it is about where the satellite was, until that settles (the iterated Kalman smoother, which is least
    squares: Bell, SIAM Journal on Optimization 1994). Where it does not, all stays as the filter had it.
    """
    known = list(filtered)
    for _ in range(_ITERATIONS):
        before, known = known, _by_all(filtered[0], known, measured)
        if all(np.linalg.norm(_step(then, now)) < _SETTLED_M for then, now in zip(before, known)):
            return known
    return list(filtered)


def _by_all(
    first: OrbitEstimate, about: Sequence[OrbitEstimate], measured: Sequence[Measurement | None]
) -> list[OrbitEstimate]:
    """The estimates of all moments by all that was measured, motion being linear ``about`` those."""
    here, legs = first, []
    for near, next_near, measurement in zip(about, about[1:], measured[1:]):
        way = way_to(replace(near, covariance=here.covariance), next_near.time_s)
        there = _moved(way.there, way.transition @ _step(near, here))
        legs.append((here, there, way))
        here = there if measurement is None else corrected(there, measurement)
    known = [here]
    for here, there, way in reversed(legs):
        known.append(_looking_back(here, there, way, known[-1]))
    return known[::-1]


def _looking_back(here: OrbitEstimate, there: OrbitEstimate, way: Way, later: OrbitEstimate) -> OrbitEstimate:
    """An estimate, which leads ``there``, with what all frames say of that later moment. The covariance in the form
    that stays positive: what the later moment leaves open, and how well that is known."""
    gain = _solved(there.covariance, way.transition @ here.covariance).T
    kept = np.eye(len(gain)) - gain @ way.transition
    covariance = kept @ here.covariance @ kept.T + gain @ (way.noise + later.covariance) @ gain.T
    return replace(_moved(here, gain @ _step(there, later)), covariance=(covariance + covariance.T) / 2)


def _step(start: OrbitEstimate, end: OrbitEstimate) -> Array:
    """State and lean (8,) of one estimate less those of another."""
    return np.concatenate([end.state - start.state, end.lean - start.lean])


def _moved(estimate: OrbitEstimate, step: Array) -> OrbitEstimate:
    return replace(estimate, state=estimate.state + step[:6], lean=estimate.lean + step[LEAN])


def _solved(covariance: Array, right: Array) -> Array:
    """``covariance`` divided into ``right``, each number in units of its own sigma: metres and leans are 1e6 apart."""
    scale = np.sqrt(np.diag(covariance))[:, None]
    return np.asarray(np.linalg.solve(covariance / (scale * scale.T), right / scale) / scale)
