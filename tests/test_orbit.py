"""Orbits and the Sun against things we did not write."""

import json

import numpy as np
import pytest
from sim_worlds import small_camera

from onboard import mission
from onboard.camera_files import save_camera
from onboard.errors import MissionError
from onboard.geodesy import EARTH_RADIUS_M, geodetic_from_ecef
from onboard.orbit_motion import EARTH_GM_M3_S2, EARTH_J2
from sim.earth_frames import ecef_from_gcrs, itrs_from_gcrs, itrs_from_teme, sun_ecef, utc_times
from sim.errors import SimError
from sim.j2_orbit import J2Orbit
from sim.mean_elements import MeanElements, sun_synchronous
from sim.orbit import draw_orbit, elements_epoch
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
    orbit = Sgp4Orbit.from_tle(*VANGUARD)
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


# IAU SOFA, "SOFA Tools for Earth Attitude", section 5: 2007 April 5, 12h UTC, IAU 2006/2000A from X, Y series with IERS
# data; the celestial-to-terrestrial matrix it prints.
SOFA_TIME = np.array(["2007-04-05T12:00:00"], "datetime64[us]")
SOFA_MATRIX = [
    [+0.973104317697536, +0.230363826239128, -0.000703163481769],
    [-0.230363798804281, +0.973104570735655, +0.000118545368117],
    [+0.000711560162594, +0.000046626402444, +0.999999745754024],
]


def test_the_celestial_to_terrestrial_rotation_is_sofas():
    # SOFA's example takes UT1 and polar motion of Bulletin A; the bundled series differs by less than a milliarcsecond.
    np.testing.assert_allclose(ecef_from_gcrs(SOFA_TIME)[0], SOFA_MATRIX, atol=1e-8)


def test_teme_turns_by_greenwich_mean_sidereal_time():
    # Meeus, Astronomical Algorithms, example 12.a: 1987 April 10, 0h UT: mean sidereal time 13h 10m 46.3668s.
    time = np.array(["1987-04-10T00:00:00"], "datetime64[us]")
    equinox = itrs_from_teme(time, np.array([[7e6, 0.0, 0.0]]), np.zeros((1, 3)))[0][0]
    sidereal_deg = (13 + 10 / 60 + 46.3668 / 3600) * 15
    turned_deg = np.degrees(np.arctan2(-equinox[1], equinox[0])) % 360
    # UT1 was 0.4 s behind UTC, and UT1 is what turns the Earth: 0.0017 degrees.
    assert turned_deg == pytest.approx(sidereal_deg, abs=0.004)


def _elements(a, e, i, node=30.0, perigee=0.0, argument=0.0):
    return MeanElements(a, e, i, node, perigee, argument)


ORBITS = [
    _elements(6.778e6, 0.0, 51.6),
    _elements(7.078e6, 0.001, 98.2, 200.0, 90.0, 300.0),
    _elements(8.0e6, 0.15, 63.4, 10.0, 40.0, 77.0),
    _elements(2.6e7, 0.6, 20.0, 359.0, 270.0, 181.0),
]


@pytest.mark.parametrize("elements", ORBITS)
def test_integration_conserves_what_nature_conserves(elements):
    """Energy with the J2 potential, and the angular momentum about the axis of symmetry, both ways from the epoch."""
    orbit = elements.orbit(EPOCH)
    position, velocity = orbit.gcrs_states(utc_times(EPOCH, np.linspace(-43_200, 43_200, 500)))
    radius = np.linalg.norm(position, axis=1)
    sine = position[:, 2] / radius
    potential = -EARTH_GM_M3_S2 / radius * (1 - EARTH_J2 * (6378137.0 / radius) ** 2 * (1.5 * sine**2 - 0.5))
    energy = (velocity**2).sum(1) / 2 + potential
    # Between its long steps on an eccentric orbit the method interpolates, which is worth decimetres.
    rtol = 2e-10 if elements.eccentricity < 0.2 else 3e-8
    np.testing.assert_allclose(energy, energy[0], rtol=rtol)
    about_axis = np.cross(position, velocity)[:, 2]
    np.testing.assert_allclose(about_axis, about_axis[0], rtol=rtol)


def test_integration_repeats_itself_and_turns_back():
    orbit = ORBITS[0].orbit(EPOCH)
    times = utc_times(EPOCH, [86_400.0])
    there, moving = orbit.gcrs_states(times)
    back = J2Orbit(times[0], tuple(there[0]), tuple(moving[0]))
    away = back.gcrs_states(np.array([EPOCH]))[0][0] - orbit.position_gcrs_m
    assert np.linalg.norm(away) < 0.05
    shuffled = utc_times(EPOCH, [300.0, -200.0, 300.0, 0.0])
    position = orbit.gcrs_states(shuffled)[0]
    np.testing.assert_array_equal(position[0], position[2])
    np.testing.assert_allclose(position[3], orbit.position_gcrs_m, rtol=1e-14)


def test_integration_follows_runge_kutta_of_another_hand():
    orbit = ORBITS[1].orbit(EPOCH)
    position, velocity = np.array(orbit.position_gcrs_m), np.array(orbit.velocity_gcrs_m_s)
    for _ in range(3000):
        position, velocity = _runge_kutta(position, velocity, 2.0)
    ours = orbit.gcrs_states(utc_times(EPOCH, [6000.0]))
    np.testing.assert_allclose(ours[0][0], position, atol=0.01)
    np.testing.assert_allclose(ours[1][0], velocity, atol=1e-5)


def _runge_kutta(position, velocity, step_s):
    """One step of the classical method, with the gradient of the J2 potential taken numerically."""

    def potential(p):
        r = np.linalg.norm(p)
        return EARTH_GM_M3_S2 / r * (1 - EARTH_J2 * (6378137.0 / r) ** 2 * (1.5 * (p[2] / r) ** 2 - 0.5))

    def acceleration(p):
        step = 50.0 * np.eye(3)
        return np.array([(potential(p + d) - potential(p - d)) / 100.0 for d in step])

    k1v, k1p = acceleration(position), velocity
    k2v, k2p = acceleration(position + step_s / 2 * k1p), velocity + step_s / 2 * k1v
    k3v, k3p = acceleration(position + step_s / 2 * k2p), velocity + step_s / 2 * k2v
    k4v, k4p = acceleration(position + step_s * k3p), velocity + step_s * k3v
    return (
        position + step_s / 6 * (k1p + 2 * k2p + 2 * k3p + k4p),
        velocity + step_s / 6 * (k1v + 2 * k2v + 2 * k3v + k4v),
    )


@pytest.mark.parametrize("elements", ORBITS[:3])
def test_mean_elements_drift_by_the_textbooks_rates(elements):
    """Node and nodal period, counted at the crossings of the equator over two days, against the secular formulae."""
    orbit = elements.orbit(EPOCH)
    times = utc_times(EPOCH, np.arange(0, 2 * 86_400, 10.0))
    position, velocity = orbit.gcrs_states(times)
    north = np.flatnonzero((position[:-1, 2] < 0) & (position[1:, 2] >= 0))
    share = position[north, 2] / (position[north, 2] - position[north + 1, 2])
    crossings_s = (north + share) * 10.0
    poles = np.cross(position, velocity)[north]
    nodes = np.unwrap(np.arctan2(poles[:, 0], -poles[:, 1]))
    drift_deg_day = np.degrees(np.polyfit(crossings_s, nodes, 1)[0]) * 86_400
    # First-order theory: off by J2 in a thousand, more where the orbit is eccentric.
    assert drift_deg_day == pytest.approx(elements.nodal_rate_deg_day, rel=2e-3)
    assert np.polyfit(np.arange(len(crossings_s)), crossings_s, 1)[0] == pytest.approx(elements.period_s, rel=2e-5)


def test_the_space_stations_node_drifts_five_degrees_a_day():
    assert -5.1 < ORBITS[0].nodal_rate_deg_day < -4.9


def test_mean_elements_are_means():
    """A circular orbit is round but for what J2 itself does to it: Kozai's and Brouwer's few kilometres."""
    orbit = MeanElements(6.978e6, 0.0, 97.8, 30.0).orbit(EPOCH)
    radius = np.linalg.norm(orbit.gcrs_states(utc_times(EPOCH, np.arange(0, 11_600, 20.0)))[0], axis=1)
    # Brouwer 1959: the radius swings twice a revolution by J2 R^2 / (4 a) sin^2 i.
    swing = EARTH_J2 * 6378137.0**2 / (4 * 6.978e6) * np.sin(np.radians(97.8)) ** 2
    assert (radius.max() - radius.min()) / 2 == pytest.approx(swing, rel=0.25)


@pytest.mark.parametrize("inclination", [0.0, 1e-7, 90.0, 180.0])
def test_orbits_over_equator_and_poles_are_ordinary(inclination):
    orbit = MeanElements(7.0e6, 0.0, inclination, 10.0, 0.0, 20.0).orbit(EPOCH)
    position, velocity = orbit.gcrs_states(utc_times(EPOCH, [-3000.0, 0.0, 3000.0]))
    np.testing.assert_allclose(np.linalg.norm(position, axis=1), 7.0e6, rtol=2e-3)
    pole = np.cross(position, velocity)
    cosine = pole[:, 2] / np.linalg.norm(pole, axis=1)
    np.testing.assert_allclose(cosine, np.cos(np.radians(inclination)), atol=1e-3)


def test_a_sun_synchronous_orbit_crosses_the_equator_at_its_hour_all_year():
    elements = sun_synchronous(7.078e6, 10.5, EPOCH)
    assert elements.nodal_rate_deg_day == pytest.approx(360 / 365.2422, rel=1e-6)
    assert elements.inclination_deg == pytest.approx(98.19, abs=0.05)  # Landsat's, at its height
    orbit = elements.orbit(EPOCH)
    for day in (0, 8):
        times = utc_times(EPOCH + np.timedelta64(day, "D"), np.arange(0, 6000, 4.0))
        position = orbit.states(times)[0]
        south = np.flatnonzero((position[:-1, 2] > 0) & (position[1:, 2] <= 0))[0]
        sun = sun_ecef(times[[south]])[0]
        apart = np.arctan2(position[south, 1], position[south, 0]) - np.arctan2(sun[1], sun[0])
        hour = (12 + np.degrees(apart) / 15) % 24
        # In July the equation of time changes by less than three minutes; a node that stood still would be 1.3 h off.
        assert hour == pytest.approx(10.5, abs=0.05)


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
        Sgp4Orbit.from_tle("1 nonsense", "2 nonsense")
    with pytest.raises(SimError, match=r"2000-06-27.*days from the time.*--start"):
        Sgp4Orbit.from_tle(*VANGUARD).states(np.array(["2026-07-01"], "datetime64[us]"))


# CelesTrak's element sets of the satellite MARIO in every format it offers (as in the tests of the package sgp4).
MARIO = (
    "1 55123U 98067UQ  23115.44827133  .00787702  29408-3  15680-2 0  9999",
    "2 55123  51.6242 216.2930 0014649 331.8976  28.1241 15.99081912 18396",
)
MARIO_CSV = """\
OBJECT_NAME,OBJECT_ID,EPOCH,MEAN_MOTION,ECCENTRICITY,INCLINATION,RA_OF_ASC_NODE,ARG_OF_PERICENTER,MEAN_ANOMALY,\
EPHEMERIS_TYPE,CLASSIFICATION_TYPE,NORAD_CAT_ID,ELEMENT_SET_NO,REV_AT_EPOCH,BSTAR,MEAN_MOTION_DOT,MEAN_MOTION_DDOT
MARIO,1998-067UQ,2023-04-25T10:45:30.642912,15.99081912,.0014649,51.6242,216.2930,331.8976,28.1241,0,U,55123,999,1839,\
.1568E-2,.787702E-2,.29408E-3
"""
MARIO_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<ndm xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:noNamespaceSchemaLocation="https://sanaregistry.org/r/ndmxml_unqualified/ndmxml-2.0.0-master-2.0.xsd">
<omm id="CCSDS_OMM_VERS" version="2.0">
<header><CREATION_DATE/><ORIGINATOR/></header><body><segment><metadata><OBJECT_NAME>MARIO</OBJECT_NAME>\
<OBJECT_ID>1998-067UQ</OBJECT_ID><CENTER_NAME>EARTH</CENTER_NAME><REF_FRAME>TEME</REF_FRAME>\
<TIME_SYSTEM>UTC</TIME_SYSTEM><MEAN_ELEMENT_THEORY>SGP4</MEAN_ELEMENT_THEORY></metadata><data><meanElements>\
<EPOCH>2023-04-25T10:45:30.642912</EPOCH><MEAN_MOTION>15.99081912</MEAN_MOTION><ECCENTRICITY>.0014649</ECCENTRICITY>\
<INCLINATION>51.6242</INCLINATION><RA_OF_ASC_NODE>216.2930</RA_OF_ASC_NODE>\
<ARG_OF_PERICENTER>331.8976</ARG_OF_PERICENTER><MEAN_ANOMALY>28.1241</MEAN_ANOMALY></meanElements><tleParameters>\
<EPHEMERIS_TYPE>0</EPHEMERIS_TYPE><CLASSIFICATION_TYPE>U</CLASSIFICATION_TYPE><NORAD_CAT_ID>55123</NORAD_CAT_ID>\
<ELEMENT_SET_NO>999</ELEMENT_SET_NO><REV_AT_EPOCH>1839</REV_AT_EPOCH><BSTAR>.1568E-2</BSTAR>\
<MEAN_MOTION_DOT>.787702E-2</MEAN_MOTION_DOT><MEAN_MOTION_DDOT>.29408E-3</MEAN_MOTION_DDOT></tleParameters></data>\
</segment></body></omm>
</ndm>
"""


def _mario(kind):
    if kind == "commented kvn":
        return "\n  COMMENT leads\n\n" + _mario("kvn").replace("\nEPOCH", "\n\tCOMMENT in between\n  EPOCH")
    fields = dict(zip(*(line.split(",") for line in MARIO_CSV.splitlines())))
    return {
        "csv": MARIO_CSV,
        "xml": MARIO_XML,
        "json": json.dumps([fields]),
        "kvn": "CCSDS_OMM_VERS = 2.0\nCOMMENT GP data\n"
        + "\n".join(f"{key} = {value}" for key, value in fields.items()).replace("51.6242", "51.6242 [deg]"),
    }[kind]


OMM_FIELDS = dict(zip(*(line.split(",") for line in MARIO_CSV.splitlines())))
MISSION = """\
name: test
camera: camera.yaml
orbit: {altitude_km: [280, 300], omm: mario.omm}
latitude_band_deg: [-60, 60]
gsd_m: 1000
budget: {pack_mb: 32}
"""


@pytest.mark.parametrize("kind", ["csv", "xml", "json", "kvn", "commented kvn"])
def test_an_omm_flies_as_its_tle_does(tmp_path, kind):
    save_camera(small_camera(), tmp_path / "camera.yaml")
    (tmp_path / "mission.yaml").write_text(MISSION)
    (tmp_path / "mario.omm").write_text(_mario(kind))
    flown = mission.load_mission(tmp_path / "mission.yaml")
    orbit = draw_orbit(flown.orbit, EPOCH, np.random.default_rng(0))
    tle = Sgp4Orbit.from_tle(*MARIO)
    times = utc_times(tle.epoch, np.arange(0, 6000, 500.0))
    # The TLE's epoch has eight decimals of a day, the OMM's microseconds: half a millisecond apart.
    np.testing.assert_allclose(orbit.teme_states(times)[0], tle.teme_states(times)[0], atol=8.0)
    assert abs(elements_epoch(flown.orbit) - tle.epoch) < np.timedelta64(1, "ms")

    # The copy that a pack carries needs no file beside it.
    (tmp_path / "copy.yaml").write_text(mission.mission_yaml(flown, "camera.yaml"))
    (tmp_path / "mario.omm").unlink()
    assert mission.load_mission(tmp_path / "copy.yaml").orbit == flown.orbit


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, r"mission\.yaml:3: orbit: omm: .*mario\.omm: No such file"),
        ("", "holds 0 satellites"),
        (MARIO_CSV + MARIO_CSV.splitlines()[1], "holds 2 satellites; keep the one that flies"),
        ("<omm>", "mission.yaml:3: orbit: omm: not XML"),
        ("[{", "mission.yaml:3: orbit: omm: "),
        ("A = 1\nB", "'B' is no 'KEYWORD = value'"),
        ("COMMENT one\nA = 1\nB = 2\n\n  COMMENT two\nA = 3\nB = 4\n", "A is there twice; keep one message"),
        ('{"A": 1, "A": 2}', "A is there twice; keep one message"),
        ("EPOCH = 2023-04-25T10:45:30.642912", "the OMM has no MEAN_MOTION, ECCENTRICITY"),
    ],
)
def test_a_bad_omm_is_named_with_file_and_line(tmp_path, content, says):
    save_camera(small_camera(), tmp_path / "camera.yaml")
    (tmp_path / "mission.yaml").write_text(MISSION)
    if content is not None:
        (tmp_path / "mario.omm").write_text(content)
    with pytest.raises(MissionError, match=says):
        mission.load_mission(tmp_path / "mission.yaml")


def test_an_orbit_may_be_as_eccentric_as_its_altitudes_or_its_elements_are():
    between = mission.Orbit((400e3, 600e3), (0.0, 180.0))
    perigee, apogee = (EARTH_RADIUS_M + altitude for altitude in between.altitude_m)
    assert between.eccentricity == pytest.approx((apogee - perigee) / (apogee + perigee))
    fields = {"ECCENTRICITY": ".0014649"}
    for elements in ({"tle": MARIO}, {"omm": fields}):
        assert mission.Orbit((290e3, 290e3), (0.0, 180.0), **elements).eccentricity == 0.0014649
        assert mission.Orbit((400e3, 600e3), (0.0, 180.0), **elements).eccentricity == between.eccentricity
    assert mission.Orbit((500e3, 500e3), (0.0, 180.0), tle=VANGUARD).eccentricity == 0.1859667


@pytest.mark.parametrize(
    ("elements", "says"),
    [
        ({"tle": [MARIO[0], MARIO[1].replace("0014649", "0.01464")]}, "the eccentricity's digits, not '0.01464'"),
        ({"omm": {**OMM_FIELDS, "ECCENTRICITY": "small"}}, "omm: ECCENTRICITY 'small' is none: give 0 to 1"),
        ({"omm": {**OMM_FIELDS, "ECCENTRICITY": "nan"}}, "omm: ECCENTRICITY 'nan' is none: give 0 to 1"),
    ],
)
def test_an_eccentricity_that_is_none_is_refused(tmp_path, elements, says):
    save_camera(small_camera(), tmp_path / "camera.yaml")
    (key, value), *_ = elements.items()
    (tmp_path / "mission.yaml").write_text(MISSION.replace("omm: mario.omm", f"{key}: {json.dumps(value)}"))
    with pytest.raises(MissionError, match=says):
        mission.load_mission(tmp_path / "mission.yaml")


def test_tle_and_omm_together_are_refused(tmp_path):
    save_camera(small_camera(), tmp_path / "camera.yaml")
    both = MISSION.replace("omm:", f"tle: {list(MARIO)!r}, omm:")
    (tmp_path / "mission.yaml").write_text(both)
    (tmp_path / "mario.omm").write_text(MARIO_XML)
    with pytest.raises(MissionError, match="tle and omm both"):
        mission.load_mission(tmp_path / "mission.yaml")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"MEAN_ELEMENT_THEORY": "SGP4-XP"}, "MEAN_ELEMENT_THEORY SGP4-XP; only SGP4"),
        ({"REF_FRAME": "GCRF"}, "REF_FRAME GCRF; only TEME"),
        ({"EPOCH": "yesterday"}, "the OMM cannot be read: .*yesterday"),
        ({"BSTAR": None}, "the OMM has no BSTAR"),
        ({"ECCENTRICITY": "1.5"}, "the OMM is no orbit"),
    ],
)
def test_an_omm_that_cannot_be_flown_is_refused(change, says):
    fields = dict(zip(*(line.split(",") for line in MARIO_CSV.splitlines()))) | change
    with pytest.raises(SimError, match=says):
        Sgp4Orbit.from_omm({key: value for key, value in fields.items() if value is not None})
