"""The report: one page that stands alone and hides nothing."""

import base64
import re
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from sim_crews import WRONG, fly
from sim_worlds import NoOcean, small_mission

from sim.flight_scenario import draw_orbits


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.renderer.OceanMask", NoOcean)
        out = tmp_path_factory.mktemp("report") / "run"
        flown = draw_orbits(small_mission(), 2, 1.0, 700.0, 4, cloud_cover=0.1)
        config = {"seed": 1, "mission": "a <b> & c", "settings": {"kinds": ["x"], "flights": []}}
        fly(out, flown=flown, config=config | {"vertical_sigma_deg": 0.1})
    return (out / "report.html").read_text(encoding="utf-8")


def test_it_needs_nothing_but_itself(page):
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "http://" not in re.sub(r"base64,[^\"]*", "", page) and "https://" not in re.sub(r"base64,[^\"]*", "", page)
    assert "$" not in re.sub(r"base64,[^\"]*", "", page)
    assert "a &lt;b&gt; &amp; c" in page
    assert "as sensors would tell, the vertical to 0.1° (1-sigma)" in page


def test_a_wrong_fix_is_in_red_and_its_frame_is_first(page):
    assert '<b style="color:#d7263d">1</b>wrong' in page
    cards = re.findall(r'<div class="card">.*?</p></div>', page, re.S)
    assert "WRONG fix" in cards[0] and f"#{WRONG} " in cards[0]
    assert "300.2 km off" in cards[0]
    assert sum("WRONG fix" in card for card in cards) == 1 and len(cards) > 3


def test_every_picture_in_it_is_whole(page):
    charts = re.findall(r"data:image/svg\+xml;base64,([^\"]*)", page)
    assert len(charts) == 6  # first fix, breakdowns, errors, covariance, false fixes, time
    for chart in charts:
        assert ElementTree.fromstring(base64.b64decode(chart)).tag.endswith("svg")
    (world,) = re.findall(r"data:image/png;base64,([^\"]*)", page)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(world), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] > 1200 and picture.std() > 20


def test_the_first_fix_has_its_place(page):
    assert (
        "From lost to found" in page
        and "The first fix was a wrong one in 1 orbits" in page
        and "within one revolution" in page
    )
