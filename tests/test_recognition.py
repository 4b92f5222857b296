"""Which agreements are looked at landmark by landmark, and no further once it is certain."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from onboard import recognition
from onboard.clock import Clock
from onboard.geodesy import EARTH_RADIUS_M
from onboard.ground_plane import as_ground
from onboard.guided import Expected
from onboard.intake import Rejected
from onboard.matches import Matches
from onboard.placement import Placement
from onboard.recognition import Recognition, placement_of, recognitions
from onboard.verification import Consensus
from onboard.voting import Candidate

NOWHERE = Placement(np.array([0.0, 0.0, 1.0]), 0.0)
ENOUGH = 30.0


VIEW: Any = SimpleNamespace(gsd_m=1000.0)


def agreement(weight: int, agreeing: int = 5, away_m: float = 0.0, held: bool = False) -> Any:
    """A place so far from NOWHERE, what it weighs, and whether a pose holds it."""
    way = away_m / EARTH_RADIUS_M
    candidate = Candidate((float(np.sin(way)), 0.0, float(np.cos(way))), 0.0, 3)
    return SimpleNamespace(agree=np.ones(agreeing, bool), weight=weight, candidate=candidate, held=held)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What each agreement weighs is written on it; the order of the looks is returned."""
    looks: list[int] = []

    def recognise(guide: Any, view: Any, camera: Any, known: Any, one: Any, clock: Clock, sides: bool) -> Recognition:
        looks.append(one.weight)
        pose: Any = "some pose" if one.held else None
        return Recognition(one, NOWHERE, pose, weight=one.weight)

    monkeypatch.setattr(recognition, "recognise", recognise)
    return looks


def run(agreements: list[Any], clock: Clock | None = None) -> list[Recognition]:
    nothing: Any = None
    return recognitions(nothing, VIEW, nothing, nothing, agreements, ENOUGH, clock or Clock(None))


def test_the_heaviest_first(looked_at: list[int]) -> None:
    found = run([agreement(3), agreement(20)])
    assert looked_at == [3, 20] and [one.weight for one in found] == [20, 3]


def test_no_further_once_it_is_certain(looked_at: list[int]) -> None:
    run([agreement(31), agreement(9)])
    assert looked_at == [31]


def test_only_the_heaviest_are_looked_at(looked_at: list[int]) -> None:
    run([agreement(count) for count in range(12)])
    assert looked_at == [0, 1, 2, 3]


def test_a_place_is_not_looked_at_again_once_a_pose_holds_it(looked_at: list[int]) -> None:
    run([agreement(20, held=True), agreement(21, away_m=35e3)])
    assert looked_at == [20]
    run([agreement(10, held=True), agreement(11, away_m=45e3)])
    run([agreement(8, held=False), agreement(9, away_m=35e3)])
    assert looked_at == [20, 10, 11, 8, 9]


def test_one_match_turns_no_frame(looked_at: list[int]) -> None:
    assert run([agreement(20, agreeing=1), agreement(20, agreeing=0)]) == []
    assert looked_at == []


def test_time_is_up(looked_at: list[int]) -> None:
    with pytest.raises(Rejected):
        run([agreement(20)], Clock(-1.0))
    assert looked_at == []


@pytest.mark.parametrize(("seen", "followed"), [(0, False), (7, False), (8, True), (40, True)])
def test_what_shows_too_little_is_not_looked_at_further(
    seen: int, followed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    xy = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2) * 20
    landmarks = Expected(np.arange(100), as_ground(xy * 1e3), xy, np.zeros(100, np.float32))
    looks: list[int] = []

    def settled(scene: Any, expected: Expected, recognised: Expected) -> None:
        looks.append(len(recognised))

    monkeypatch.setattr(recognition, "placement_of", lambda *asked: (NOWHERE, 0j))
    monkeypatch.setattr(recognition, "grown", lambda *asked: NOWHERE)
    monkeypatch.setattr(recognition, "settled", settled)
    guide: Any = SimpleNamespace(
        expected=lambda *asked: landmarks, recognised=lambda view, expected: np.arange(len(expected)) < seen
    )
    view: Any = SimpleNamespace(corners=np.array([1e5 + 1e5j]), gsd_m=1000.0)
    nothing: Any = None
    found = recognition.recognise(guide, view, nothing, nothing, agreement(20), Clock(None))
    assert found.pose is None and looks == ([seen] if followed else [])


def test_growth_begins_where_most_agree_not_in_the_middle_of_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clumps of matches, and cloud between them."""
    clump, aside = np.array([[0, 0], [9, 5], [4, -8], [-6, 2]]) * 1e3, np.array([150e3, 0])
    ground_m = np.concatenate([clump[:3] - aside, clump + aside])
    monkeypatch.setattr(Placement, "expected", lambda self, catalogue, numbers: (as_ground(ground_m[numbers]), None))
    numbers = np.arange(len(ground_m))
    view: Any = SimpleNamespace(ground_m=ground_m, gsd_m=930.0)
    candidate = Candidate((0.0, 0.0, 1.0), 0.0, 3)
    agreed = Consensus(candidate, Matches(numbers, numbers), np.ones(7, np.float32), np.ones(7, bool))
    guide: Any = SimpleNamespace(catalogue=None)
    placement, middle = placement_of(guide, view, agreed)
    assert abs(middle - 150e3) < 15e3
    np.testing.assert_allclose(placement.unit, candidate.unit, atol=1e-9)
