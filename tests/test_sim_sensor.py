"""The sensor: every effect is off by default and does what its name says, no more."""

from dataclasses import replace

import numpy as np
import pytest
from sim_worlds import BARE, small_camera

from onboard.geodesy import ecef_from_geodetic, ecef_from_nadir_camera
from sim.look import Look, draw_look
from sim.sensor import drift_px_s, expose, smear_kernel, track_deg

CAMERA = small_camera(160, 120, distortion=())
ALTITUDE_M = 500e3


def _scene(seed=3):
    """Grey noise of one pixel, alike in all bands."""
    noise = np.random.default_rng(seed).uniform(0.1, 0.3, (1, CAMERA.height, CAMERA.width)).astype(np.float32)
    return np.repeat(noise, 4, axis=0)


def _shot(look, scene=None):
    picture = expose(_scene() if scene is None else scene, CAMERA, look, np.random.default_rng(0), ALTITUDE_M)
    return picture.astype(float)


def _power(picture):
    """Power of luminance along x and along y, of the upper half of the frequencies."""
    grey = picture.mean(axis=-1)
    fine = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    height, width = grey.shape
    return fine[:4, width // 4 : 3 * width // 4].mean(), fine[height // 4 : 3 * height // 4, :4].mean()


def test_the_exotic_is_off_by_default():
    look = Look()
    assert look.season is None and not look.bayer
    names = ("ground_change", "veil", "white_balance", "exposure_s", "readout_s", "hot_pixels", "denoise", "sharpen")
    assert all(getattr(look, name) == 0 for name in (*names, "jpeg_quality"))


def test_drift_is_what_the_camera_model_says_of_two_moments():
    """A ground point seen before and after a step of a circular orbit over a turning-free Earth."""
    look = replace(BARE, track_deg=25.0)
    step_s, radius = 0.01, 6371008.8 + ALTITUDE_M
    speed = np.sqrt(3.986004418e14 / radius)
    away_deg = np.degrees(speed * step_s / radius)
    # Flying north along a meridian with the picture's up 25 degrees left of north: track_deg is clockwise from up.
    heading = -25.0
    point = ecef_from_geodetic(0.0, 0.0)
    pixels = []
    for lat in (0.0, away_deg):
        position = np.array([radius * np.cos(np.radians(lat)), 0, radius * np.sin(np.radians(lat))])
        rotation = ecef_from_nadir_camera(lat, 0.0, heading)
        pixels.append(CAMERA.project((point * 6371008.8 / 6378137.0 - position)[None] @ rotation)[0])
    expected = (pixels[1] - pixels[0]) / step_s
    np.testing.assert_allclose(drift_px_s(CAMERA, ALTITUDE_M, look), expected, rtol=2e-3, atol=0.02)


def test_the_track_is_seen_in_the_picture():
    """Flying east: with the picture's up to the north that is to the right, with up to the east it is up."""
    velocity = np.array([0.0, 7500.0, 0.0])  # over 0, 0
    for heading, expected in ((0.0, 90.0), (90.0, 0.0), (200.0, 250.0)):
        assert track_deg(ecef_from_nadir_camera(0.0, 0.0, heading), velocity) == pytest.approx(expected, abs=1e-6)


def test_a_turning_camera_moves_the_picture_as_its_axes_say():
    turned = replace(BARE, turn_rad_s=(0.02, -0.01, 0.0))
    still, moving = (np.array(drift_px_s(CAMERA, ALTITUDE_M, look)) for look in (BARE, turned))
    step_s = 1e-3
    # A far point on the axis, in the axes of a camera that has turned a little: P' = P - w x P dt.
    point = np.array([0.0, 0, 1]) - np.cross(turned.turn_rad_s, [0, 0, 1.0]) * step_s
    expected = (CAMERA.project(point[None])[0] - [CAMERA.cx, CAMERA.cy]) / step_s
    np.testing.assert_allclose(moving - still, expected, rtol=1e-3)


@pytest.mark.parametrize(("track_deg", "across_axis"), [(0.0, 0), (90.0, 1)])
def test_motion_blur_lowers_the_spectrum_along_the_track_only(track_deg, across_axis):
    still = replace(BARE, track_deg=track_deg, jpeg_quality=0)
    exposure_s = 3.0 / np.hypot(*drift_px_s(CAMERA, ALTITUDE_M, still))  # three pixels
    sharp, smeared = _power(_shot(still)), _power(_shot(replace(still, exposure_s=exposure_s)))
    along_axis = 1 - across_axis
    assert smeared[along_axis] < 0.35 * sharp[along_axis]
    assert smeared[across_axis] == pytest.approx(sharp[across_axis], rel=0.1)


def test_a_smear_is_a_line_as_long_as_the_motion():
    kernel = smear_kernel((30.0, 0.0), 0.2)
    assert kernel.sum() == pytest.approx(1.0)
    x = np.arange(len(kernel)) - len(kernel) // 2
    assert (kernel.sum(axis=0) * x).sum() == pytest.approx(0, abs=1e-6)
    # Variance of a uniform line of length L is L**2 / 12; bilinear drawing adds up to a quarter of a pixel squared.
    assert (kernel.sum(axis=0) * x**2).sum() == pytest.approx(6.0**2 / 12, abs=0.25)


def test_a_rolling_shutter_displaces_the_last_row_by_speed_times_time():
    x = np.broadcast_to(np.arange(CAMERA.width), (CAMERA.height, CAMERA.width))
    scene = np.repeat((0.2 + 0.1 * np.sin(2 * np.pi * x / 40))[None], 4, axis=0).astype(np.float32)
    look = replace(BARE, track_deg=270.0)  # flying left: the ground moves right
    drift = drift_px_s(CAMERA, ALTITUDE_M, look)
    assert drift[0] > 0 and abs(drift[1]) < 1e-6
    readout_s = 5.0 / drift[0]
    rolled, still = _shot(replace(look, readout_s=readout_s), scene), _shot(look, scene)
    inner = slice(20, -20)

    def shift(row):
        a, b = still[row, inner, 0] - still[row, inner, 0].mean(), rolled[row, inner, 0] - rolled[row, inner, 0].mean()
        wave = np.exp(-2j * np.pi * x[row, inner] / 40)
        return (np.angle((a * wave).sum()) - np.angle((b * wave).sum())) / (2 * np.pi) * 40

    assert shift(0) == pytest.approx(0, abs=0.05)
    assert shift(CAMERA.height - 1) == pytest.approx(5.0, abs=0.15)
    assert shift(CAMERA.height // 2) == pytest.approx(2.5, abs=0.15)


def test_bayer_leaves_grey_grey_and_blurs_colour():
    grey = np.full((4, CAMERA.height, CAMERA.width), 0.2, np.float32)
    picture = _shot(replace(BARE, bayer=True), grey)
    assert np.ptp(picture.reshape(-1, 3).mean(axis=0)) < 0.5 and picture[4:-4, 4:-4].std() < 1
    red = np.zeros_like(grey)
    red[0, :, 80:] = 0.4
    plain, mosaiced = _shot(BARE, red), _shot(replace(BARE, bayer=True), red)
    # The right colour on the right side: a pattern taken for another would swap red and blue.
    np.testing.assert_allclose(mosaiced[8:-8, 100:-8], plain[8:-8, 100:-8], atol=3)
    noisy = _scene()
    assert (np.abs(np.diff(_shot(replace(BARE, bayer=True), noisy), axis=-1)).mean()) > 1.0
    assert (np.abs(np.diff(_shot(BARE, noisy), axis=-1)).mean()) < 0.5


def test_jpeg_costs_detail_and_more_so_at_low_quality():
    plain = _shot(BARE)
    errors = [np.abs(_shot(replace(BARE, jpeg_quality=quality)) - plain).mean() for quality in (95, 60, 20)]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_hot_pixels_are_as_many_as_told():
    grey = np.full((4, CAMERA.height, CAMERA.width), 0.02, np.float32)
    look = replace(BARE, full_well_e=1e5, blur_px=0.3)
    hot = np.abs(_shot(replace(look, hot_pixels=5e-3), grey) - _shot(look, grey)).max(axis=-1) > 12
    assert 0.6 * 5e-3 < hot.mean() < 1.2 * 5e-3  # a few are too faint to see


def test_a_bright_scene_saturates_at_the_full_well():
    scene = _scene()
    scene[:, 40:60, 40:60] = 3.0
    picture = _shot(replace(BARE, exposure=4.0), scene)
    assert (picture[45:55, 45:55] == 255).all()


def test_white_balance_greys_what_is_bright():
    scene = _scene() * np.array([1.0, 0.8, 0.5, 0.0], np.float32)[:, None, None]
    none, full = (_shot(replace(BARE, white_balance=share), scene).reshape(-1, 3).mean(axis=0) for share in (0.0, 1.0))
    assert none[2] < 0.6 * none[0]
    assert np.ptp(full) < 0.03 * full.mean()


def test_a_veil_takes_contrast_and_sharpening_gives_it():
    plain = _shot(BARE)
    veiled, crisp, smooth = (
        _shot(replace(BARE, **change)) for change in ({"veil": 0.5}, {"sharpen": 1.0}, {"denoise": 1.0})
    )
    contrast = [picture.std() / picture.mean() for picture in (veiled, plain, crisp)]
    assert contrast == sorted(contrast) and contrast[0] < 0.8 * contrast[1]
    assert _power(smooth)[0] < _power(plain)[0]


def test_drawn_looks_use_every_effect():
    looks = [draw_look(np.random.default_rng(seed), 0.0, 0.0) for seed in range(60)]
    for name in ("season", "ground_change", "veil", "white_balance", "exposure_s", "readout_s", "hot_pixels"):
        values = np.array([getattr(look, name) for look in looks], float)
        assert np.ptp(values) > 0, name
    assert {look.bayer for look in looks} == {True, False}
    assert any(look.jpeg_quality == 0 for look in looks) and any(look.jpeg_quality > 0 for look in looks)
