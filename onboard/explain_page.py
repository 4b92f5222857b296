"""One page a frame, as a PNG with its JSON beside it: what a person needs when there is no fix, and when there is."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.drawing import BAD, FAINT, GOOD, INK, PAPER, Picture, width_of, write
from onboard.errors import UsageError
from onboard.evidence import Evidence
from onboard.explain import Explanation, Place, explain, to_plain
from onboard.explain_drawing import Grid, frame_panel, map_panel, numbered, turned_map, world_panel
from onboard.geodesy import latlon_text
from onboard.images import as_utf8
from onboard.localizer import Localizer
from onboard.rectify import Rectified
from onboard.whole_file import write_whole

# The rendered map around (lat, lon), north up, at a GSD, for half a width and half a height in pixels; None where it
# has nothing.
MapReader = Callable[[tuple[float, float], float, int, int], Picture | None]

_WIDTH, _MARGIN, _GAP, _HEAD = 1760, 24, 24, 92
_PANEL = (_WIDTH - 2 * _MARGIN - _GAP) // 2
_TALLEST = 660
_LINE = 23
_LISTED = 8  # places in the table


class Page:
    """Writes explanations into a folder: NAME.explain.png and NAME.explain.json, each whole or not at all.

    images: the files to be explained; raises UsageError where the folder holds one of them, so that no picture is
    written over and no page taken for a picture; map_reader: renders the map beside the frame; without one its
    landmarks alone are drawn.
    """

    def __init__(self, folder: Path, images: Iterable[str], localizer: Localizer, map_reader: MapReader | None) -> None:
        held = [image for image in images if image != "-" and folder.resolve() in _homes(Path(image))]
        if held:
            raise UsageError(
                f"{folder}: holds pictures to explain ({Path(held[0]).name}); name another folder for the pages"
            )
        self._folder, self._localizer, self._map_reader = folder, localizer, map_reader
        self._names: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, image: str, frame: NDArray[np.uint8], evidence: Evidence) -> Path:
        """Explain one frame, RGB uint8 (H, W, 3), of the file ``image``; returns the picture's path."""
        explanation = explain(self._localizer, evidence)
        name = self._name(image)
        page = self._drawn(image, frame, evidence, explanation)
        path = self._folder / f"{name}.explain.png"
        write_whole(path, cv2.imencode(".png", page[:, :, ::-1])[1].tobytes())
        plain = {"image": as_utf8(image), **to_plain(explanation, self._localizer, evidence)}
        write_whole(path.with_suffix(".json"), json.dumps(plain, indent=1))
        return path

    def _name(self, image: str) -> str:
        """The file's name without its suffix; numbered if another folder had one of the same name."""
        stem = "stdin" if image == "-" else Path(image).stem
        name, number = stem, 1
        while name in self._names:
            number += 1
            name = f"{stem}-{number}"
        self._names.add(name)
        return name

    def _drawn(self, image: str, frame: NDArray[np.uint8], evidence: Evidence, explanation: Explanation) -> Picture:
        left, right = self._panels(frame, evidence, explanation)
        world = world_panel(explanation, self._localizer.catalogue, self._localizer.mission.latitude_band_deg, _PANEL)
        below = _HEAD + _LINE + max(len(left[0]), len(right[0])) + 36
        lines = _check_lines(explanation)
        table = len(world) + _LINE * (min(len(explanation.places), _LISTED) + 3)
        page = np.full((below + max(table, _LINE * (len(lines) + 2)) + _MARGIN, _WIDTH, 3), PAPER, np.uint8)
        _head(page, image, explanation)
        for x, (picture, title) in ((_MARGIN, left), (_MARGIN + _PANEL + _GAP, right)):
            write(page, title, (x, _HEAD + 12), 16, INK, 600)
            _paste(page, picture, x, _HEAD + _LINE)
        write(page, _world_title(explanation), (_MARGIN, below), 16, INK, 600)
        _paste(page, world, _MARGIN, below + 10)
        if explanation.places:
            _table(page, explanation.places, below + 10 + len(world) + _LINE)
        x = _MARGIN + _PANEL + _GAP
        write(page, "Tests, in the order they are made", (x, below), 16, INK, 600)
        for number, (word, colour, text) in enumerate(lines):
            y = below + 10 + _LINE * (number + 1)
            write(page, word, (x, y), 15, colour, 700)
            write(page, text, (x + 50, y), 15, INK)
        return page

    def _panels(
        self, frame: NDArray[np.uint8], evidence: Evidence, explanation: Explanation
    ) -> tuple[tuple[Picture, str], tuple[Picture, str]]:
        """The frame and the map of the best place, each with its title."""
        rectified, view, pairs, camera = evidence.rectified, evidence.view, explanation.pairs, evidence.camera
        if rectified is None or view is None or camera is None:
            zoom = min(_PANEL / frame.shape[1], _TALLEST / frame.shape[0])
            size = max(1, round(frame.shape[1] * zoom)), max(1, round(frame.shape[0] * zoom))
            picture = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_NEAREST)
            return (picture, "The frame as it came: refused before it was looked at"), _nothing(picture)
        grid = Grid.of(rectified, _PANEL, _TALLEST)
        pairs_m = pairs.ground_m(camera, view)
        tags = numbered(grid.pixels(pairs_m), pairs)
        drawn = frame_panel(rectified, grid, view.ground_m, pairs_m, pairs, tags)
        title = f"The frame, rectified to {rectified.gsd_m:.0f} m a pixel: {len(view)} features"
        if not explanation.places:
            return (drawn, title), _nothing(drawn)
        best = explanation.places[0]
        backdrop = self._backdrop(best, grid, rectified)
        around, count = map_panel(best, grid, self._localizer.catalogue, pairs, tags, rectified, backdrop)
        if best.recognised:
            title += f", {len(pairs.agrees)} landmarks recognised in {best.recognised} spots"
        else:
            title += f", {len(pairs.agrees)} matched, {pairs.agrees.sum()} agree (numbered alike)"
        text = f"Best place, {latlon_text(best.lat_deg, best.lon_deg, 2)}, turned to the frame: {count} landmarks"
        return (drawn, title), (around, text)

    def _backdrop(self, best: Place, grid: Grid, rectified: Rectified) -> Picture | None:
        if self._map_reader is None:
            return None
        rows, columns = rectified.mask.shape
        half = int(np.hypot(rows, columns) / 2 + np.hypot(*(np.array([columns, rows]) / 2 - grid.centre_px))) + 2
        rgb = self._map_reader((best.lat_deg, best.lon_deg), rectified.gsd_m, half, half)
        return None if rgb is None else turned_map(rgb, best.heading_deg, grid)


def _homes(image: Path) -> tuple[Path, Path]:
    """The folders that hold a file: by its name, and by what a link of that name leads to."""
    return image.parent.resolve(), image.resolve().parent


def _nothing(like: Picture) -> tuple[Picture, str]:
    return np.full_like(like, 244), "No place was considered"


def _head(page: Picture, image: str, explanation: Explanation) -> None:
    fix = explanation.fix
    colour = GOOD if fix else BAD
    write(page, fix.status.value, (_MARGIN, 44), 30, colour, 800)
    write(page, image, (_MARGIN + width_of(fix.status.value, 30, 800) + 20, 44), 20, INK, 500)
    text = fix.reason
    if fix:
        at = latlon_text(fix.lat_deg, fix.lon_deg, 3)
        text = (
            f"nadir {at} ±{fix.sigma_m / 1e3:.1f} km, {fix.altitude_m / 1e3:.0f} km high, heading"
            f" {fix.heading_deg:.0f}°, {fix.inliers} inliers, false-fix probability {fix.false_fix_probability:.1g}"
        )
    write(page, text, (_MARGIN, 74), 18, INK)


def _world_title(explanation: Explanation) -> str:
    if not explanation.places:
        return "The catalogue's landmarks: no place was considered"
    count = len(explanation.places)
    places = "the one place" if count == 1 else f"the {count} places"
    return f"The catalogue's landmarks and {places} considered; named by rank and landmarks recognised"


def _table(page: Picture, places: tuple[Place, ...], top: int) -> None:
    columns = (("", 0), ("place", 30), ("heading", 220), ("recognised", 310), ("votes", 420), ("matches", 510),
               ("agree", 610), ("weight", 700))  # fmt: skip
    for name, x in columns:
        write(page, name, (_MARGIN + x, top), 14, FAINT, 600)
    for number, place in enumerate(places[:_LISTED], 1):
        texts = (
            str(number), latlon_text(place.lat_deg, place.lon_deg, 2), f"{place.heading_deg:.0f}°",
            _or_dash(place.recognised), str(place.votes), str(place.matches), str(place.agreeing),
            f"{place.weight:.1f}",
        )  # fmt: skip
        for text, (_, x) in zip(texts, columns):
            write(page, text, (_MARGIN + x, top + _LINE * number), 14, INK)
    if len(places) > _LISTED:
        write(page, f"and {len(places) - _LISTED} more", (_MARGIN + 30, top + _LINE * (_LISTED + 1)), 14, FAINT)


def _check_lines(explanation: Explanation) -> list[tuple[str, tuple[int, int, int], str]]:
    """Word, its colour and text, line by line, long texts broken."""
    words = {True: ("pass", GOOD), False: ("FAIL", BAD), None: ("", FAINT)}
    lines = []
    for check in explanation.checks:
        word, colour = words[check.passed]
        for number, text in enumerate(_broken(f"{check.name}: {check.text}", 15, _PANEL - 50)):
            lines.append((word if number == 0 else "", colour, text))
    return lines


def _broken(text: str, size: int, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer, size) > width:
            lines.append(f"   {word}")
        else:
            lines[-1] = longer if len(lines) == 1 else f"   {longer}"
    return lines


def _or_dash(count: int | None) -> str:
    return "-" if count is None else str(count)


def _paste(page: Picture, picture: Picture, x: int, y: int) -> None:
    page[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
