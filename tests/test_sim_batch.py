"""A stream of frames: the same whoever renders it, from wherever it starts, and over when it should be."""

import multiprocessing
import time
from dataclasses import dataclass

import numpy as np
import pytest
from sim_worlds import small_camera

from index_builder.mosaic import Mosaic
from onboard import plugins
from sim.batch import FrameStream, Studio
from sim.errors import SimError
from sim.land_looks import LandLooks
from sim.ocean import OceanMask
from sim.renderer import Renderer

CAMERA = small_camera(96, 72)
DRAW = LandLooks((590e3, 610e3), looks=2, aside_m=50e3)


@dataclass(frozen=True)
class FailsAt:
    """A draw that cannot do one of its frames."""

    bad: int

    def __call__(self, seed, index, ocean):
        if index == self.bad:
            raise ZeroDivisionError(f"no frame {index}")
        return DRAW(seed, index, ocean)


@pytest.fixture(scope="module")
def ocean():
    return OceanMask()


@pytest.fixture
def stream_of(blue_marble):
    """A stream over the Blue Marble, with options."""

    def make(**options):
        return FrameStream(CAMERA, (blue_marble,), **{"draw": DRAW, "seed": 5, "chunk": 3, **options})

    return make


def _same(a, b):
    np.testing.assert_array_equal(a.frame, b.frame)
    assert a.look == b.look
    for name, value in vars(a.truth).items():
        np.testing.assert_array_equal(value, getattr(b.truth, name))


def test_frames_do_not_depend_on_who_renders_them(blue_marble, ocean, stream_of):
    one = list(stream_of(workers=1, stop=8))
    two = list(stream_of(workers=2, stop=8, chunk=2))
    later = list(stream_of(workers=1, start=5, stop=8))
    studio = Studio(Renderer(CAMERA, Mosaic(blue_marble), ocean), DRAW, 5)
    assert [item.truth.index for item in one] == list(range(8))
    assert [item.truth.index for item in later] == [5, 6, 7]
    for a, b in zip(one, two):
        _same(a, b)
    for a, b in zip(one[5:], later):
        _same(a, b)
    for index in (7, 0):
        _same(one[index], studio.frame(index))
    assert len({item.frame.tobytes() for item in one}) == 8
    assert not multiprocessing.active_children()


def test_a_worker_s_error_reaches_the_consumer_with_its_cause(stream_of):
    stream = iter(stream_of(workers=1, draw=FailsAt(4)))
    assert [next(stream).truth.index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(SimError, match=r"frames 3 to 5.*no frame 4") as caught:
        next(stream)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "FailsAt" in str(caught.value.__cause__.__cause__) or "test_sim_batch" in str(
        caught.value.__cause__.__cause__
    )
    assert not multiprocessing.active_children()


def test_an_endless_stream_ends_when_it_is_left(stream_of):
    stream = iter(stream_of(workers=1))
    next(stream)
    stream.close()
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_told_of(stream_of):
    stream = iter(stream_of(workers=1))
    next(stream)
    for child in multiprocessing.active_children():
        child.kill()
    with pytest.raises(SimError, match="died"):
        for _ in zip(range(100), stream):
            time.sleep(0.01)


def test_places_are_on_land_and_shared_by_their_looks(ocean):
    shots = [LandLooks((4e5, 5e5), looks=4)(9, index, ocean) for index in range(40)]
    places = [(shot.look.anchor_lat_deg, shot.look.anchor_lon_deg) for shot in shots]
    assert len(set(places)) == 10
    for lat, lon in set(places):
        assert ocean.share(np.array([[lat]]), np.array([[lon]]), 4e3)[0, 0] < 0.5
    assert len({shot.look.cloud_seed for shot in shots}) == 40


def test_the_ocean_mask_is_read_once_and_kept_whole(ocean, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = OceanMask()
    (kept,) = (tmp_path / "nadir").iterdir()
    assert kept.stat().st_size < 180e6
    monkeypatch.setattr("sim.ocean._read_package", None)  # it is not read again
    lat, lon = np.meshgrid(np.linspace(50, 51, 60), np.linspace(-5, -3, 80), indexing="ij")
    for gsd_m in (500.0, 4e3, 20e3):
        share = OceanMask().share(lat, lon, gsd_m)
        assert 0 < share.mean() < 1
        for other in (made, ocean):
            np.testing.assert_array_equal(share, other.share(lat, lon, gsd_m))
    (tmp_path / "full").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "full"))
    with pytest.raises(SimError, match="name a folder with 180 MB to spare in XDG_CACHE_HOME"):
        OceanMask()


def test_other_packages_find_the_stream_by_name():
    assert plugins.service("frames") is FrameStream
    assert plugins.service("land_looks") is LandLooks


@pytest.mark.parametrize("bad", [{"chunk": 0}, {"workers": 0}, {"start": -1}])
def test_impossible_streams_are_refused(bad, stream_of):
    with pytest.raises(SimError, match="at least one"):
        stream_of(**bad)
