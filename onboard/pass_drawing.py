"""The picture of a pass: where its frames were taken, on the world that the catalogue knows."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from onboard.drawing import FAINT, GOOD, INK, PAPER, Picture, width_of, write, write_beside
from onboard.geodesy import geodetic_from_ecef
from onboard.landmarks import Catalogue
from onboard.orbit_motion import propagate
from onboard.orbit_state import OrbitState, TrackStatus
from onboard.whole_file import write_whole
from onboard.world_drawing import World

_WIDTH, _MARGIN, _HEAD = 1600, 20, 60
_PREDICTED = (226, 138, 40)
_STEP_S, _REVOLUTION_S = 30.0, 6000.0  # of the drawn track, and how far on it is drawn
_GAP_S = 300.0  # frames after one carry their names


def draw_pass(
    path: Path, catalogue: Catalogue, band_deg: tuple[float, float], names: Sequence[str], states: Sequence[OrbitState]
) -> None:
    """Write a PNG of the states at the frames ``names``, in order of time."""
    world = World.of(catalogue, band_deg, _WIDTH)
    known = [(name, state) for name, state in zip(names, states, strict=True) if state]
    for (_, state), (_, later) in pairwise(known):
        _track(world, state, later)
    for wanted in (TrackStatus.COASTING, TrackStatus.TRACKING):
        for _, state in known:
            if state.status is wanted:
                at = world.pixel(state.lat_deg, state.lon_deg)
                cv2.circle(world.picture, at, 5, PAPER, -1, cv2.LINE_AA)
                cv2.circle(world.picture, at, 4, *_mark(wanted), cv2.LINE_AA)
    for number, (name, state) in enumerate(known):
        if number in (0, len(known) - 1) or _seconds(known[number - 1][1], state) > _GAP_S:
            write_beside(world.picture, name, world.pixel(state.lat_deg, state.lon_deg), 10, 15, INK, 600)
    write_whole(path, cv2.imencode(".png", _page(world.picture, states)[:, :, ::-1])[1].tobytes())


def _page(picture: Picture, states: Sequence[OrbitState]) -> Picture:
    height = len(picture)
    page = np.full((_HEAD + height + _MARGIN, _WIDTH + 2 * _MARGIN, 3), PAPER, np.uint8)
    page[_HEAD : _HEAD + height, _MARGIN : _MARGIN + _WIDTH] = picture
    x = _MARGIN + 8
    for status, text in (
        (TrackStatus.TRACKING, "show where they were taken"),
        (TrackStatus.COASTING, "told by the others"),
        (TrackStatus.SEARCHING, "not known"),
    ):
        count = sum(state.status is status for state in states)
        if status is not TrackStatus.SEARCHING:
            cv2.circle(page, (x, 35), 6, *_mark(status), cv2.LINE_AA)
            x += 14
        elif not count:
            continue
        write(page, f"{count} {text}", (x, 41), 18, INK, 600)
        x += width_of(f"{count} {text}", 18, 600) + 40
    return page


def _mark(status: TrackStatus) -> tuple[tuple[int, int, int], int]:
    """Colour and thickness of a circle."""
    return (GOOD, -1) if status is TrackStatus.TRACKING else (_PREDICTED, 2)


def _seconds(state: OrbitState, later: OrbitState) -> float:
    assert state.timestamp_ns is not None and later.timestamp_ns is not None
    return (later.timestamp_ns - state.timestamp_ns) / 1e9


def _track(world: World, state: OrbitState, later: OrbitState) -> None:
    """The way from one state to the next."""
    seconds = _seconds(state, later)
    if seconds > _REVOLUTION_S:
        return
    steps = max(1, int(seconds / _STEP_S))
    way_states = [np.concatenate([state.position_ecef_m, state.velocity_ecef_m_s])]
    for _ in range(steps):
        way_states.append(propagate(way_states[-1], seconds / steps))
    way = [geodetic_from_ecef(there[:3]) for there in way_states]
    for (lat, lon, _), (next_lat, next_lon, _) in pairwise(way):
        if abs(next_lon - lon) < 180:  # not over the seam of the map
            ends = world.pixel(float(lat), float(lon)), world.pixel(float(next_lat), float(next_lon))
            cv2.line(world.picture, *ends, FAINT, 1, cv2.LINE_AA)
