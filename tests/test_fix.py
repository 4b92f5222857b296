"""A fix states how likely it is to be off."""

import numpy as np
import pytest

from onboard.fix import Fix, Status, no_fix


@pytest.mark.parametrize("sigmas_m", [(5e3, 5e3), (7e3, 7e3), (7e3, 1e3)])
def test_the_chance_to_be_far_off_is_no_less_than_drawn_errors_are(sigmas_m):
    errors_m = np.hypot(*(np.random.default_rng(1).normal(0, sigmas_m, (200_000, 2)).T))
    fix = Fix(Status.FIX, sigma_m=max(sigmas_m), false_fix_probability=1e-5)
    for radius_m in (5e3, 10e3, 20e3):
        share, stated = (errors_m > radius_m).mean(), fix.chance_beyond(radius_m)
        assert share - 4e-3 < stated, (radius_m, share, stated)
        if sigmas_m[0] == sigmas_m[1]:
            assert stated == pytest.approx(share, abs=4e-3)


def test_the_chance_holds_another_place_too_and_nothing_without_a_fix():
    assert Fix(Status.FIX, sigma_m=1e3, false_fix_probability=3e-6).chance_beyond(25e3) == pytest.approx(3e-6)
    assert Fix(Status.FIX, sigma_m=1e3, false_fix_probability=0.5).chance_beyond(0.0) == 1.0
    assert Fix(Status.FIX, sigma_m=1e3, false_fix_probability=3e-6).chance_beyond(1e160) == pytest.approx(3e-6)
    assert np.isnan(no_fix(Status.DARK, "night").chance_beyond(25e3))
