"""Headings of a camera along orbits that are flown."""

import numpy as np
import pytest

from onboard.geodesy import unit_from_latlon
from onboard.headings import Headings
from tests.orbit_worlds import INCLINATION_DEG, MOUNT_DEG, heading_deg, states


def flown() -> tuple[np.ndarray, np.ndarray]:
    """Nadir points, unit vectors, and headings of a camera over one revolution."""
    truth = states(np.arange(0, 5700, 60.0))
    return truth[:, :3] / np.linalg.norm(truth[:, :3], axis=1)[:, None], np.array([heading_deg(one) for one in truth])


@pytest.mark.parametrize("inclination_deg", [(INCLINATION_DEG, INCLINATION_DEG), (65.0, 75.0), (0.0, 180.0)])
def test_the_headings_of_an_orbit_are_those_of_its_inclination(inclination_deg: tuple[float, float]) -> None:
    unit, heading = flown()
    headings = Headings(MOUNT_DEG, inclination_deg)
    # Where an orbit turns back, a fraction of a degree of latitude is many of azimuth.
    assert headings.off_deg(heading, unit).max() < 4
    assert headings.off_deg(heading + 360, unit).max() < 4


def test_other_headings_are_off_by_as_much() -> None:
    unit, heading = flown()
    headings = Headings(MOUNT_DEG, (INCLINATION_DEG, INCLINATION_DEG))
    equator = np.abs(unit[:, 2]) < 0.2
    off = headings.off_deg(heading[equator] - 30, unit[equator])
    assert equator.sum() > 6 and np.abs(off - 30).max() < 1


@pytest.mark.parametrize("lat", [90.0, -90.0, 80.0])
def test_past_the_highest_latitude_it_flies_east_or_with_an_inclination_past_90_west(lat: float) -> None:
    unit = unit_from_latlon(np.array([lat, lat]), np.zeros(2))
    eastward, westward = Headings(0.0, (60.0, 60.0)), Headings(0.0, (120.0, 120.0))
    np.testing.assert_allclose(eastward.off_deg(np.array([90.0, 270.0]), unit), [0, 180], atol=1e-9)
    np.testing.assert_allclose(westward.off_deg(np.array([90.0, 270.0]), unit), [180, 0], atol=1e-9)


def test_a_sun_synchronous_orbit_flies_west_of_north_and_west_of_south() -> None:
    unit = unit_from_latlon(np.full(4, 45.0), np.zeros(4))
    off = Headings(0.0, (98.0, 98.0)).off_deg(np.array([348.65, 191.35, 11.35, 168.65]), unit)
    np.testing.assert_allclose(off, [0, 0, 22.7, 22.7], atol=0.05)
