"""Orbits and the Sun against things we did not write."""

import numpy as np
import pytest

from onboard import mission
from onboard.geodesy import geodetic_from_ecef
from sim.earth_frames import itrs_from_gcrs, itrs_from_teme, sun_ecef, utc_times
from sim.errors import SimError
from sim.kepler_j2_orbit import EARTH_GM_M3_S2, EARTH_J2, KeplerJ2Orbit
from sim.orbit import draw_orbit
from sim.sgp4_orbit import Sgp4Orbit

EPOCH = np.datetime64("2026-07-01T00:00:00", "us")

# SGP4-VER.TLE and tcppver.out of Vallado, Crawford, Hujsak and Kelso, "Revisiting Spacetrack Report #3"
# (AIAA 2006-6753): minutes from epoch, TEME position in km, velocity in km/s.
VANGUARD = (
    "1 00005U 58002B   00179.78495062  .00000023  00000-0  28098-4 0  4753",
    "2 00005  34.2682 348.7242 1859667 331.7664  19.3264 10.82419157413667",
)
VANGUARD_STATES = [
    (0.0, (7022.46529266, -1400.08296755, 0.03995155), (1.893841015, 6.405893759, 4.534807250)),
    (360.0, (-7154.03120202, -3783.17682504, -3536.19412294), (4.741887409, -4.151817765, -2.093935425)),
    (1440.0, (-938.55923943, -6268.18748831, -4294.02924751), (7.536105209, -0.427127707, 0.989878080)),
    (4320.0, (-9060.47373569, 4658.70952502, 813.68673153), (-2.232832783, -4.110453490, -3.157345433)),
]


@pytest.mark.parametrize(("minutes", "position_km", "velocity_km_s"), VANGUARD_STATES)
def test_sgp4_gives_its_published_vectors(minutes, position_km, velocity_km_s):
    orbit = Sgp4Orbit(*VANGUARD)
    # The epoch in whole microseconds is off by at most half of one, 4 mm of the way.
    position, velocity = orbit.teme_states(utc_times(orbit.epoch, [minutes * 60]))
    np.testing.assert_allclose(position[0], np.array(position_km) * 1e3, atol=0.02)
    np.testing.assert_allclose(velocity[0], np.array(velocity_km_s) * 1e3, atol=2e-5)


# The worked example of the same paper (appendix C) and Vallado, Fundamentals of Astrodynamics, example 3-15.
EXAMPLE_TIME = np.array(["2004-04-06T07:51:28.386009"], "datetime64[us]")
EXAMPLE_ITRF_KM = (-1033.4793830, 7901.2952754, 6380.3565958)
EXAMPLE_ITRF_KM_S = (-3.225636520, -2.872451450, 5.531924446)


@pytest.mark.parametrize(
    ("convert", "position_km", "velocity_km_s"),
    [
        (itrs_from_teme, (5094.18016210, 6127.64465950, 6380.34453270), (-4.746131487, 0.785818041, 5.531931288)),
        (itrs_from_gcrs, (5102.508959, 6123.011403, 6378.136925), (-4.743220160, 0.790536500, 5.533755724)),
    ],
)
def test_inertial_states_reach_the_published_earth_fixed_ones(convert, position_km, velocity_km_s):
    position, velocity = convert(EXAMPLE_TIME, np.array([position_km]) * 1e3, np.array([velocity_km_s]) * 1e3)
    # A metre: the book rounds UT1 and polar motion; a wrong frame would show as tens of metres to kilometres.
    np.testing.assert_allclose(position[0], np.array(EXAMPLE_ITRF_KM) * 1e3, atol=1.0)
    np.testing.assert_allclose(velocity[0], np.array(EXAMPLE_ITRF_KM_S) * 1e3, atol=0.01)


def test_kepler_j2_drifts_as_the_equations_of_motion_do():
    """Node and revolution time against Newton's law with J2, integrated."""
    orbit = KeplerJ2Orbit(EPOCH, 6.778e6, 0.0, 51.6, 30.0)
    position, velocity = (state[0] for state in orbit.gcrs_states(np.array([EPOCH])))
    start = position, velocity
    step_s, crossings, nodes = 10.0, [], [orbit.raan_deg]
    for number in range(8640):
        before = position
        position, velocity = _runge_kutta(position, velocity, step_s)
        if before[2] < 0 <= position[2]:
            crossings.append((number - before[2] / (position[2] - before[2])) * step_s)
            pole = np.cross(position, velocity)
            nodes.append(np.degrees(np.arctan2(pole[0], -pole[1])))
    drift_deg_day = (nodes[-1] - nodes[1]) / (crossings[-1] - crossings[0]) * 86400
    assert drift_deg_day == pytest.approx(orbit.nodal_rate_deg_day, rel=5e-3)
    assert -5.1 < orbit.nodal_rate_deg_day < -4.9  # the Space Station's well-known five degrees a day

    times = utc_times(EPOCH, np.arange(0, 86400, 10.0))
    z = orbit.gcrs_states(times)[0][:, 2]
    ours = np.flatnonzero((z[:-1] < 0) & (z[1:] >= 0)) * 10.0
    nodal_period = np.diff(crossings).mean()
    assert np.diff(ours).mean() == pytest.approx(nodal_period, rel=2e-3)
    assert np.linalg.norm(start[1]) == pytest.approx(np.sqrt(EARTH_GM_M3_S2 / 6.778e6), rel=1e-9)


def _runge_kutta(position, velocity, step_s):
    def acceleration(p):
        r2 = p @ p
        r = np.sqrt(r2)
        bulge = 1.5 * EARTH_J2 * (6378137.0 / r) ** 2
        polar = 5 * p[2] ** 2 / r2
        return -EARTH_GM_M3_S2 / r**3 * p * (1 + bulge * (np.array([1, 1, 3]) - polar))

    k1v, k1p = acceleration(position), velocity
    k2v, k2p = acceleration(position + step_s / 2 * k1p), velocity + step_s / 2 * k1v
    k3v, k3p = acceleration(position + step_s / 2 * k2p), velocity + step_s / 2 * k2v
    k4v, k4p = acceleration(position + step_s * k3p), velocity + step_s * k3v
    return (
        position + step_s / 6 * (k1p + 2 * k2p + 2 * k3p + k4p),
        velocity + step_s / 6 * (k1v + 2 * k2v + 2 * k3v + k4v),
    )


def test_an_eccentric_orbit_keeps_its_energy_and_its_focus():
    orbit = KeplerJ2Orbit(EPOCH, 8.0e6, 0.15, 63.4, 10.0, 40.0, 77.0)
    position, velocity = orbit.gcrs_states(utc_times(EPOCH, np.linspace(0, 9000, 200)))
    radius = np.linalg.norm(position, axis=1)
    energy = (velocity**2).sum(1) / 2 - EARTH_GM_M3_S2 / radius
    np.testing.assert_allclose(energy, -EARTH_GM_M3_S2 / 1.6e7, rtol=1e-12)
    assert radius.min() == pytest.approx(8.0e6 * 0.85, rel=1e-3)
    assert radius.max() == pytest.approx(8.0e6 * 1.15, rel=1e-3)


def test_a_sun_synchronous_orbit_crosses_the_equator_at_its_hour_all_year():
    orbit = KeplerJ2Orbit.sun_synchronous(7.078e6, 10.5, EPOCH)
    assert orbit.nodal_rate_deg_day == pytest.approx(360 / 365.2422, rel=1e-6)
    assert orbit.inclination_deg == pytest.approx(98.19, abs=0.05)  # Landsat's, at its height
    for month in (0, 2, 5):
        start = EPOCH + np.timedelta64(30 * month, "D")
        times = utc_times(start, np.arange(0, 6000, 2.0))
        position = orbit.states(times)[0]
        south = np.flatnonzero((position[:-1, 2] > 0) & (position[1:, 2] <= 0))[0]
        sun = sun_ecef(times[[south]])[0]
        apart = np.arctan2(position[south, 1], position[south, 0]) - np.arctan2(sun[1], sun[0])
        hour = (12 + np.degrees(apart) / 15) % 24
        assert hour == pytest.approx(10.5, abs=0.35)  # the equation of time swings by a quarter of an hour


def test_the_sun_stands_where_the_almanac_says():
    # Meeus, Astronomical Algorithms, example 25.b: apparent declination on 1992 October 13, 0h TD (59 s before UTC).
    sun = sun_ecef(np.array(["1992-10-12T23:59:00.8"], "datetime64[us]"))[0]
    assert np.degrees(np.arcsin(sun[2])) == pytest.approx(-(7 + 47 / 60 + 1.74 / 3600), abs=1e-3)


def test_the_sun_follows_the_low_precision_formulae_of_the_astronomical_almanac():
    times = utc_times(np.datetime64("2019-03-01T05:00:00"), np.arange(0, 365 * 86400, 12.34 * 86400))
    days = (times - np.datetime64("2000-01-01T12:00:00", "us")) / np.timedelta64(1, "D")
    anomaly = np.radians(357.529 + 0.98560028 * days)
    longitude = np.radians(280.459 + 0.98564736 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.radians(23.439 - 0.00000036 * days)
    ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    hour = ascension - np.radians(280.46062 + 360.98564737 * days)
    expected = np.column_stack(
        [np.cos(declination) * np.cos(hour), np.cos(declination) * np.sin(hour), np.sin(declination)]
    )
    # The formulae promise 0.01 degrees.
    assert np.degrees(np.arccos(np.clip((sun_ecef(times) * expected).sum(1), -1, 1))).max() < 0.02


def test_drawn_orbits_keep_to_their_ranges_and_to_their_seed():
    ranges = mission.Orbit((500e3, 600e3), (50.0, 60.0))
    times = utc_times(EPOCH, np.arange(0, 6000, 20.0))
    first, again, other = (
        draw_orbit(ranges, EPOCH, np.random.default_rng(seed)).states(times)[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e5
    lat, _, altitude = geodetic_from_ecef(first)
    assert altitude.min() > 485e3 and altitude.max() < 625e3  # the ellipsoid adds its own 14 km either way
    assert 49.5 < np.abs(lat).max() < 60.5


def test_bad_elements_are_named():
    with pytest.raises(SimError, match="TLE"):
        Sgp4Orbit("1 nonsense", "2 nonsense")
    with pytest.raises(SimError, match=r"2000-06-27.*days from the time.*--start"):
        Sgp4Orbit(*VANGUARD).states(np.array(["2026-07-01"], "datetime64[us]"))
