"""An extended Kalman filter of one orbit: what a new frame adds, and how much is forgotten on the way to it.

Beside the orbit it holds the lean, what lasts of the camera's pointing error. A pose that its landmarks leave open is
drawn towards the mission's pointing, the same way frame after frame, and no number of frames averages that out
(colored measurement errors as states of their own: Bar-Shalom, Li and Kirubarajan 2001, 8.2).
"""

from dataclasses import dataclass, replace

import numpy as np

from onboard.geodesy import Array
from onboard.orbit_fit import LEAN, Measurement, OrbitEstimate
from onboard.orbit_motion import inertial_velocity, propagate_with_transition

# Spectral density of the acceleration that the model leaves out, m²/s³. At 400 km the Earth's field beyond J2 (J3, J22)
# pulls with some 3e-5 m/s², the same way for about 1000 s; drag with up to 5e-6 m/s². 2·σ²·τ = 2e-6: 0.3 km after a
# revolution by itself, and about 1 km along the track.
ACCELERATION_DENSITY_M2_S3 = 2e-6

# Quantile of chi-squared at 0.9999, of 2 degrees of freedom: one right position in ten thousand is refused.
GATE_2 = 18.42
_SPAN_S = 120.0  # over which the noise is added up as if nothing pulled: an eighth of a radian of a low orbit
# How long the lasting part of a pointing error lasts: what heats and lights a satellite comes again every revolution.
LEAN_LASTS_S = 5400.0


def predict(estimate: OrbitEstimate, time_s: float) -> OrbitEstimate:
    """The estimate at another moment; the covariance grows there and back."""
    return way_to(estimate, time_s).there


@dataclass(frozen=True, eq=False)
class Way:
    """From an estimate to the one predicted ``there``, to first order: transition (8, 8), the derivative of the later
    state and lean by the earlier ones; noise (8, 8), the covariance that comes in between."""

    there: OrbitEstimate
    transition: Array
    noise: Array


def way_to(estimate: OrbitEstimate, time_s: float) -> Way:
    """`predict`, and how the prediction depends on the estimate."""
    seconds = time_s - estimate.time_s
    state, whole, noise = estimate.state, np.eye(8), np.zeros((8, 8))
    spans = int(np.ceil(abs(seconds) / _SPAN_S))
    for _ in range(spans):
        state, by_state = propagate_with_transition(state, seconds / spans)
        kept = float(np.exp(-abs(seconds) / spans / LEAN_LASTS_S))
        transition, added = np.eye(8) * kept, np.eye(8) * (1 - kept**2)
        transition[:6, :6], added[:6, :6] = by_state, _process_noise(seconds / spans)
        whole, noise = transition @ whole, transition @ noise @ transition.T + added
    lean = estimate.lean * np.exp(-abs(seconds) / LEAN_LASTS_S)
    covariance = whole @ estimate.covariance @ whole.T + noise
    return Way(OrbitEstimate(time_s, state, lean, (covariance + covariance.T) / 2), whole, noise)


def bent(estimate: OrbitEstimate) -> OrbitEstimate:
    """The estimate with what a straight ellipsoid of errors leaves out: an error s along the track is one along a
    circle, s²/2r below the tangent, with a velocity that is slower along it by v·s²/2r². Nothing for a good estimate,
    kilometres after half a revolution of coasting. To second order, for a Gaussian s (E[s⁴] = 3σ⁴); for use with a
    measurement or an answer, not to be predicted further: prediction would add it up.
    """
    position = estimate.state[:3]
    velocity = inertial_velocity(position, estimate.state[3:])
    radius, speed = float(np.linalg.norm(position)), float(np.linalg.norm(velocity))
    up, along = position / radius, velocity / speed
    drop = np.sqrt(3) * float(along @ estimate.covariance[:3, :3] @ along) / (2 * radius)
    bend = np.zeros((8, 8))
    bend[:3, :3] = drop**2 * np.outer(up, up)
    bend[3:6, 3:6] = (drop * speed / radius) ** 2 * np.outer(along, along)
    return replace(estimate, covariance=estimate.covariance + bend)


def distance2(estimate: OrbitEstimate, measurement: Measurement) -> float:
    """Squared normalised innovation of a horizontal position at the estimate's moment: chi-squared with two degrees of
    freedom."""
    off = measurement.residual(estimate.state[:3], estimate.lean)[:2]
    return float(off @ np.linalg.solve(_innovation(bent(estimate), measurement)[:2, :2], off))


def update(estimate: OrbitEstimate, measurement: Measurement) -> OrbitEstimate:
    """The estimate after a measurement of its moment."""
    return corrected(bent(estimate), measurement)


def corrected(estimate: OrbitEstimate, measurement: Measurement) -> OrbitEstimate:
    """`update` of an estimate whose errors are as straight as its covariance says. In Joseph's form, which keeps the
    covariance positive (Bar-Shalom, Li and Kirubarajan 2001, 5.2.3-21)."""
    seen = measurement.slope
    gain = np.linalg.solve(_innovation(estimate, measurement), seen @ estimate.covariance).T
    step = gain @ measurement.residual(estimate.state[:3], estimate.lean)
    kept = np.eye(8) - gain @ seen
    covariance = kept @ estimate.covariance @ kept.T + gain @ measurement.covariance @ gain.T
    state, lean = estimate.state + step[:6], estimate.lean + step[LEAN]
    return OrbitEstimate(estimate.time_s, state, lean, (covariance + covariance.T) / 2)


def _innovation(estimate: OrbitEstimate, measurement: Measurement) -> Array:
    """Covariance (4, 4) of the difference between a measurement and what is expected of it."""
    return np.asarray(measurement.slope @ estimate.covariance @ measurement.slope.T + measurement.covariance)


def _process_noise(span_s: float) -> Array:
    """Covariance (6, 6) that white acceleration leaves after, or before (negative), a span in which motion is all but
    straight (Bar-Shalom, Li and Kirubarajan 2001, 6.2.2-12)."""
    long_s = abs(span_s)
    blocks = np.array([[long_s**3 / 3, span_s * long_s / 2], [span_s * long_s / 2, long_s]])
    return ACCELERATION_DENSITY_M2_S3 * np.kron(blocks, np.eye(3))
