"""Motion, fit and filter of an orbit against the ground's integrator and against their own statements."""

import numpy as np
import pytest
from orbit_worlds import (
    ALTITUDE_M,
    INCLINATION_DEG,
    KNOWN,
    POINTING_SIGMA_RAD,
    RADIUS_M,
    STRONG,
    first_state,
    leaning_place,
    place,
    right_place,
    states,
)

from onboard.geodesy import ecef_from_ned, geodetic_from_ecef
from onboard.orbit_filter import GATE_2, bent, distance2, predict, update
from onboard.orbit_fit import OrbitEstimate, circular_start, eccentricity_sigma, fit_orbit, prior_residuals
from onboard.orbit_measurement import measurement_of, seen_anew
from onboard.orbit_motion import (
    earth_fixed_velocity,
    inertial_velocity,
    propagate,
    propagate_with_transition,
    turned_with_earth,
)
from sim.earth_frames import utc_times
from sim.j2_orbit import J2Orbit

DAY_ROUND_S = 86164.0905  # sidereal, of the inertial axes (IERS Conventions)
START = np.datetime64("2026-07-01", "us")


@pytest.mark.parametrize("minutes", [-45, 1, 30, 95])
def test_motion_is_that_of_the_grounds_integrator_in_turning_axes(minutes):
    # The ground integrates in inertial axes (DOP853, centimetres a day); at the start the axes coincide.
    first = first_state()
    inertial = inertial_velocity(first[:3], first[3:])
    orbit = J2Orbit(START, tuple(first[:3]), tuple(inertial))
    position, velocity = (part[0] for part in orbit.gcrs_states(utc_times(START, [minutes * 60.0])))
    there = propagate(first, minutes * 60.0)
    np.testing.assert_allclose(turned_with_earth(there[None, :3], [minutes * 60.0])[0], position, atol=3.0)
    moved = turned_with_earth(inertial_velocity(there[:3], there[3:])[None], [minutes * 60.0])[0]
    np.testing.assert_allclose(moved, velocity, atol=3e-3)


def test_what_is_geostationary_stands_still():
    radius = (3.986004418e14 * (DAY_ROUND_S / 2 / np.pi) ** 2) ** (1 / 3)
    there = propagate(np.array([radius, 0, 0, 0, 0, 0]), 3600.0)
    assert np.linalg.norm(there[:3] - [radius, 0, 0]) < 1500  # what J2 does in an hour


def test_there_and_back():
    first = first_state(70.0, 130.0)
    np.testing.assert_allclose(propagate(propagate(first, 2000.0), -2000.0)[:3], first[:3], atol=0.5)
    np.testing.assert_allclose(earth_fixed_velocity(first[:3], inertial_velocity(first[:3], first[3:])), first[3:])


@pytest.mark.parametrize("seconds", [900.0, -43200.0])
def test_transition_is_the_derivative_of_the_motion(seconds):
    first = first_state()
    _, transition = propagate_with_transition(first, seconds)
    for axis, step in enumerate([10.0] * 3 + [0.01] * 3):
        move = np.eye(6)[axis] * step
        numeric = (propagate(first + move, seconds) - propagate(first - move, seconds)) / (2 * step)
        assert np.linalg.norm(transition[:, axis] - numeric) < 1e-6 * np.linalg.norm(numeric), axis


@pytest.mark.parametrize("seconds", [240.0, -240.0])
def test_what_is_forgotten_does_not_depend_on_the_spans_it_is_added_up_over(monkeypatch, seconds):
    estimate = OrbitEstimate(0.0, first_state(), np.zeros(2), np.eye(8) * 1e-6)
    coarse = predict(estimate, seconds).covariance
    monkeypatch.setattr("onboard.orbit_filter._SPAN_S", 2.0)
    np.testing.assert_allclose(np.diag(coarse), np.diag(predict(estimate, seconds).covariance), rtol=0.05)


ANY_INCLINATION = np.radians(90.0), np.radians(52.0)
KNOWN_ORBIT = (RADIUS_M, 10e3), (np.radians(INCLINATION_DEG), np.radians(0.3)), 2e-3


def _fitted(rng, times_s, sigma_m, inclination_rad=ANY_INCLINATION):
    truth = states(times_s)
    measurements = [
        measurement_of(right_place(state, 20.0, rng, sigma_m), KNOWN, float(time))
        for time, state in zip(times_s, truth, strict=True)
    ]
    inertial = inertial_velocity(truth[-1][:3], truth[-1][3:])
    start = circular_start(times_s[-1], measurements[-1].position_ecef_m, inertial + rng.normal(0, 200, 3))
    found = fit_orbit(start, measurements, (RADIUS_M, 10e3), inclination_rad, 2e-3)
    assert found is not None
    return truth[-1], found[0]


def test_fit_is_as_good_as_it_says():
    rng = np.random.default_rng(3)
    errors = []
    for _ in range(30):
        truth, estimate = _fitted(rng, np.arange(6) * 60.0, 3e3)
        off = estimate.state - truth
        errors.append(off @ np.linalg.solve(estimate.covariance[:6, :6], off))
        assert np.linalg.norm(off[:3]) < 15e3 and np.linalg.norm(off[3:]) < 40
    # The truth is a better circle than the fit expects, so that less than 6 is right; far less would be no use.
    assert 2 < np.mean(errors) < 7.5


def test_coasting_grows_and_tells_the_truth():
    rng = np.random.default_rng(5)
    minutes = (1, 10, 30, 60)
    errors, sigmas = [], []
    for _ in range(10):
        truth, estimate = _fitted(rng, np.arange(6) * 60.0, 3e3)
        for minute in minutes:
            there = bent(predict(estimate, estimate.time_s + 60 * minute))
            off = there.state - propagate(truth, 60.0 * minute)
            errors.append(off @ np.linalg.solve(there.covariance[:6, :6], off))
            sigmas.append(np.sqrt(np.trace(there.covariance[:3, :3])))
            assert np.linalg.eigvalsh(there.covariance)[0] > 0
    assert 2 < np.mean(errors) < 9, errors  # without `bent` 80: errors of 100 km along the track lie on a curve
    assert sigmas[3] > 3 * sigmas[0]


def test_process_noise_does_not_depend_on_how_often_it_is_added():
    exact = OrbitEstimate(0.0, first_state(), np.zeros(2), np.diag([1.0] * 3 + [1e-6] * 3 + [0.01] * 2))
    once = predict(exact, 1800.0)
    often = exact
    for step in range(1, 91):
        often = predict(often, step * 20.0)
    ratio = np.sqrt(np.diag(often.covariance) / np.diag(once.covariance))
    np.testing.assert_allclose(ratio, 1.0, atol=0.05)
    assert 30 < np.sqrt(np.trace(once.covariance[:3, :3])) < 1000  # metres, after half an hour


def test_the_gate_lets_the_likely_in_and_keeps_the_unlikely_out():
    rng = np.random.default_rng(7)
    truth, estimate = _fitted(rng, np.arange(8) * 60.0, 3e3)
    likely = [distance2(estimate, measurement_of(right_place(truth, 20.0, rng), KNOWN, 0.0)) for _ in range(200)]
    assert max(likely) < GATE_2
    assert np.mean(likely) < 4
    lat, lon, _ = geodetic_from_ecef(truth[:3])
    off = truth[:3] + ecef_from_ned(lat, lon)[:, 1] * 60e3
    assert distance2(estimate, measurement_of(place(off, 0.0, 20.0, rng), KNOWN, 0.0)) > GATE_2


def test_an_update_helps_as_much_as_it_says():
    rng = np.random.default_rng(8)
    truth, estimate = _fitted(rng, np.arange(3) * 60.0, 10e3)
    better = update(estimate, measurement_of(right_place(truth, 20.0, rng, 500.0), KNOWN, estimate.time_s))
    lat, lon, _ = geodetic_from_ecef(truth[:3])
    level = ecef_from_ned(lat, lon)[:, :2]
    spread = level.T @ better.covariance[:3, :3] @ level
    np.testing.assert_allclose(np.sqrt(np.linalg.eigvalsh(spread)), 500.0, rtol=0.05)
    assert np.linalg.norm(level.T @ (better.state[:3] - truth[:3])) < 2000
    assert np.linalg.eigvalsh(better.covariance)[0] > 0


@pytest.mark.parametrize("passing", [0.0, 1.0])
def test_a_pose_is_drawn_towards_the_pointing_that_was_told(passing):
    rng = np.random.default_rng(10)
    errors = []
    for lean in ((2.0, -1.0), (0.0, 0.0)):
        truth, off = first_state(), []
        for _ in range(200):
            tilt = POINTING_SIGMA_RAD * (np.array(lean) + passing * rng.normal(size=2))
            measured = measurement_of(leaning_place(truth, tilt, STRONG, rng), KNOWN, 0.0)
            off.append(measured.residual(truth[:3], np.array(lean)))
            errors.append(off[-1] @ np.linalg.solve(measured.covariance, off[-1]))
        assert np.abs(np.mean(off, axis=0)[:2]).max() < 600  # metres; a lean of one sigma is worth 3.5 km
    # Four numbers, all of whose pointing error passes, or none.
    assert (3.2 if passing else 0.8) < np.mean(errors) < 4.6


def test_many_frames_do_not_average_out_what_lasts():
    """A frame every 10 s for 5 minutes. With the lean left out of the filter the mean is above a hundred."""
    rng = np.random.default_rng(12)
    errors = []
    for _ in range(20):
        lean = rng.normal(0, 1, 2)
        truth = states(np.arange(32) * 10.0)
        tilts = POINTING_SIGMA_RAD * (lean + 0.5 * rng.normal(size=(32, 2)))
        measured = [
            measurement_of(leaning_place(state, tilt, STRONG, rng), KNOWN, i * 10.0)
            for i, (state, tilt) in enumerate(zip(truth, tilts, strict=True))
        ]
        start = circular_start(10.0, measured[1].position_ecef_m, inertial_velocity(truth[1][:3], truth[1][3:]))
        estimate, _ = fit_orbit(start, measured[:2], *KNOWN_ORBIT)
        for one in measured[2:]:
            estimate = update(predict(estimate, one.time_s), one)
        off = estimate.state - truth[-1]
        errors.append(off @ np.linalg.solve(estimate.covariance[:6, :6], off))
    assert 3 < np.mean(errors) < 9, errors


def test_slopes_of_what_is_known_of_the_orbit():
    state = first_state(50.0, 30.0) + np.array([2e3, -3e3, 1e3, 20.0, -10.0, 15.0])
    _, slope = prior_residuals(state, *KNOWN_ORBIT, (1.0, 0.05))
    for axis, step in enumerate([10.0] * 3 + [0.01] * 3):
        move = np.eye(6)[axis] * step
        after, before = (prior_residuals(state + sign * move, *KNOWN_ORBIT, (1.0, 0.05))[0] for sign in (1, -1))
        numeric = (after - before) / (2 * step)
        np.testing.assert_allclose(slope[:4, axis], numeric[:4], rtol=5e-3, atol=1e-9)
        # Of the last is left out that north turns with the position.
        np.testing.assert_allclose(slope[4, axis], numeric[4], rtol=5e-3, atol=1e-5 if axis < 3 else 1e-9)


def test_the_inclination_is_that_of_the_orbit():
    residual, _ = prior_residuals(first_state(50.0, 30.0), *KNOWN_ORBIT)
    assert abs(residual[3]) < 1e-6
    equatorial = np.concatenate([[RADIUS_M, 0.0, 0.0], [0.0, 7e3, 0.0]])
    residual, slope = prior_residuals(equatorial, (RADIUS_M, 10e3), (0.0, np.radians(0.3)), 2e-3)
    assert residual[3] == 0 and np.isfinite(slope).all()


def test_a_known_inclination_tells_where_two_near_places_lead():
    """Two fixes a minute apart leave the direction of flight open by degrees."""
    errors = {}
    for known in (ANY_INCLINATION, KNOWN_ORBIT[1]):
        rng = np.random.default_rng(6)
        errors[known] = []
        for _ in range(20):
            truth, estimate = _fitted(rng, np.array([0.0, 60.0]), 3e3, known)
            there = bent(predict(estimate, estimate.time_s + 1200.0))
            off = there.state - propagate(truth, 1200.0)
            assert off @ np.linalg.solve(there.covariance[:6, :6], off) < 30
            errors[known].append(np.linalg.norm(off[:3]))
    assert np.median(errors[KNOWN_ORBIT[1]]) < 0.7 * np.median(errors[ANY_INCLINATION])


def test_frames_that_follow_at_once_count_as_one():
    """Four seconds of ten frames a second, all off by the same kilometre as they see the same ground."""
    rng = np.random.default_rng(13)
    truth, estimate = _fitted(rng, np.arange(3) * 60.0, 3e3)
    one = measurement_of(right_place(truth, 20.0, rng, 1e3), KNOWN, estimate.time_s)
    once, often = update(estimate, one), estimate
    for _ in range(40):
        often = update(often, seen_anew(one, 0.1))
    np.testing.assert_allclose(np.diag(often.covariance), np.diag(once.covariance), rtol=0.02)
    np.testing.assert_array_equal(seen_anew(one, 20.0).covariance, one.covariance)


@pytest.mark.parametrize(("largest", "sigma"), [(0.0, 2e-3), (15e3 / 6781e3, 2e-3), (0.01, 0.01 / 2**0.5)])
def test_no_more_is_known_of_an_eccentricity_than_the_mission_tells(largest, sigma):
    """The second is of the packaged mission, 395 to 425 km."""
    assert eccentricity_sigma(largest) == pytest.approx(sigma)
    anomalies = np.radians(np.arange(360))
    assert np.std(largest * np.cos(anomalies)) <= eccentricity_sigma(largest) * 1.001


def test_an_impossible_arc_is_no_orbit():
    rng = np.random.default_rng(9)
    truth = states([0.0, 60.0])
    start = circular_start(60.0, truth[1][:3], truth[1][3:])
    still = [measurement_of(right_place(truth[0], 20.0, rng), KNOWN, time) for time in (0.0, 600.0, 1200.0)]
    found = fit_orbit(start, still, (6371e3 + ALTITUDE_M[0], 1e3), ANY_INCLINATION, 2e-3)
    assert found is None or found[1] > 1000
