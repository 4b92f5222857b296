"""What a training step shows its network: places on land, the map there, and looks and photographs of them.

Everything follows from (seed, step, item) alone, so that a step is the same whatever came before it, however many
threads render it and processes share it.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from export import footprints, frames
from export.footprints import Footprint, read_footprints
from export.frames import read_frames
from export.looks import Picture, Studio
from export.regions import held_out
from onboard.cells import tile_band
from onboard.errors import NadirError
from onboard.geodesy import Array

# The search turns the frame in steps: what is left of the heading is a little more than half a step.
HEADING_REACH = 0.6
# How far off a look may lie from the middle of its map: what is farther the search looks at anew. Codes that forgive
# more tell less (docs/decisions.md).
REACH_M = 12.5e3
# Photographs that fill less than this share of the view's disc are left out.
MIN_SHOWN = 0.3
# First numbers of random streams, so that none is used for two things.
PAIR, DATED = 10, 11
# A step that no training reaches, nor those after it: for what is drawn before the first.
BEFORE = 1 << 30
Made = TypeVar("Made")


class SceneError(NadirError):
    """Photographs that cannot be trained on as asked."""


class Photograph(Protocol):
    """A real picture of a known place."""

    @property
    def lat_deg(self) -> float: ...

    @property
    def lon_deg(self) -> float: ...

    def area_m2(self) -> float: ...

    def picture(self, gsd_m: float) -> Picture: ...


@dataclass(frozen=True, eq=False)
class PlacedFootprint:
    """A photograph of known corners as a picture around its centre, north up."""

    footprint: Footprint
    span_m: float
    lat_deg: float
    lon_deg: float

    def area_m2(self) -> float:
        return self.footprint.area_m2()

    def picture(self, gsd_m: float) -> Picture:
        size = round(self.span_m / gsd_m)
        return Picture(*self.footprint.north_up(self.span_m, size), self.span_m / size, ((size - 1) / 2,) * 2)


class Pair(NamedTuple):
    """The map at a place, north up, a frame that shows the place, and its latitude and longitude in degrees."""

    map: Picture
    frame: Picture
    place: tuple[float, float]


@dataclass(frozen=True)
class SceneSettings:
    """turns: how many turns of a frame the search will try (1: frames of any heading); reach_m: how far a look may lie
    from its map; photo_share: how many pairs are of photographs, where there are any."""

    seed: int
    turns: int
    reach_m: float = REACH_M
    photo_share: float = 0.5
    band_deg: tuple[float, float] = (-62.0, 62.0)
    min_land: float = 0.15


@dataclass(frozen=True, eq=False)
class Scenes:
    """Draws and renders; ``threads`` render at once."""

    studio: Studio
    settings: SceneSettings
    photographs: tuple[Photograph, ...] = ()
    threads: int = 1

    def pairs(self, step: int, items: Iterable[int]) -> list[Pair]:
        """The pairs ``items`` of a step."""
        return self._rendered(lambda item: self._pair(step, item), items)

    def dated(self, step: int, items: Iterable[int], places: Array) -> list[Picture]:
        """The map at places (N, 2), one an item, each on a date of its own."""
        return self._rendered(lambda at: self._dated(step, *at), list(zip(items, places.tolist())))

    def frames(
        self, step: int, items: Iterable[int], places: Array, photographs: Sequence[Sequence[Photograph]]
    ) -> list[Picture]:
        """Frames of places (N, 2), one an item: rendered, or one of the place's own photographs."""

        def frame(at: tuple[int, list[float], Sequence[Photograph]]) -> Picture:
            item, (lat_deg, lon_deg), own = at
            rng = np.random.default_rng([self.settings.seed, PAIR, step, item])
            if own and rng.uniform() < self.settings.photo_share:
                return self._taken(rng, own)[1]
            return self._look(rng, lat_deg, lon_deg)

        return self._rendered(frame, list(zip(items, places.tolist(), photographs)))

    def maps(self, places: Array) -> list[Picture]:
        """The map as it is at places (N, 2)."""
        return self._rendered(lambda place: self.studio.map_picture(*place), places.tolist())

    def pool(self, spacing_m: float) -> Array:
        """Every place (N, 2) of a grid over the band that may be trained on."""
        places = np.column_stack(tile_band(self.settings.band_deg, spacing_m))
        return places[[self.allowed(lat, lon) for lat, lon in places.tolist()]]

    def allowed(self, lat_deg: float, lon_deg: float) -> bool:
        """Whether a place has land in view, and none of it in the regions held out."""
        row, column = min(179, int(90 - lat_deg)), min(359, int(lon_deg + 180))
        enough = self.studio.earth.land_share[row, column] > self.settings.min_land
        return bool(enough) and not held_out(lat_deg, lon_deg, self.studio.span_m / 2)

    def draw_place(self, rng: np.random.Generator) -> tuple[float, float]:
        """A place that may be trained on."""
        while True:
            place = self.studio.earth.draw_place(rng, self.settings.band_deg, self.settings.min_land)
            if not held_out(*place, self.studio.span_m / 2):
                return place

    def _pair(self, step: int, item: int) -> Pair:
        rng = np.random.default_rng([self.settings.seed, PAIR, step, item])
        if self.photographs and rng.uniform() < self.settings.photo_share:
            photograph, frame = self._taken(rng, self.photographs)
            place = (photograph.lat_deg, photograph.lon_deg)
        else:
            place = self.draw_place(rng)
            frame = self._look(rng, *place)
        return Pair(self.studio.map_picture(*place), frame, place)

    def _taken(self, rng: np.random.Generator, among: Sequence[Photograph]) -> tuple[Photograph, Picture]:
        photograph = among[int(rng.integers(len(among)))]
        return photograph, replace(photograph.picture(self.studio.gsd_m), turn_deg=self._heading(rng))

    def _look(self, rng: np.random.Generator, lat_deg: float, lon_deg: float) -> Picture:
        return self.studio.look_picture(rng, lat_deg, lon_deg, self._heading(rng), self.settings.reach_m)

    def _dated(self, step: int, item: int, place: list[float]) -> Picture:
        rng = np.random.default_rng([self.settings.seed, DATED, step, item])
        lat_deg, lon_deg = place
        return self.studio.dated_picture(rng, lat_deg, lon_deg, self._heading(rng), self.settings.reach_m)

    def _heading(self, rng: np.random.Generator) -> float:
        reach = min(0.5, HEADING_REACH / self.settings.turns)
        return float(rng.uniform(-reach, reach) * 360)

    def _rendered(self, make: Callable[[Any], Made], items: Iterable[Any]) -> list[Made]:
        if self.threads == 1:
            return [make(item) for item in items]
        # OpenCV lets go of the interpreter lock in what costs time.
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(make, items))


def pictures_of(pairs: Iterable[Pair]) -> list[Picture]:
    """Map and frame of each pair, by turns."""
    return [picture for pair in pairs for picture in (pair.map, pair.frame)]


def views_of(pictures: Iterable[Picture], span_m: float, size: int) -> Tensor:
    """Views (N, 1, size, size) float32 in channels-last memory, which convolutions on a CPU and in half precision
    on a GPU are fastest with."""
    stack = np.stack([picture.view(span_m, size) for picture in pictures])
    return torch.from_numpy(stack).contiguous(memory_format=torch.channels_last)


def read_photographs(folder: Path, span_m: float, turns: int) -> tuple[Photograph, ...]:
    """Photographs to train on: of a folder's frames.csv, footprints.csv or EarthLoc file names, those that show enough
    of the view and none of the regions held out. Raises SceneError when that leaves none, ImageError for a bad
    table."""
    found: list[Photograph]
    if (folder / frames.TABLE).exists():
        if turns != 1:
            raise SceneError(
                f"{folder / frames.TABLE} does not say the headings, so that its frames can only train codes for any "
                f"heading (--turns 1); photographs with corners ({footprints.TABLE}) can train others"
            )
        found = list(read_frames(folder))
    else:
        found = [PlacedFootprint(footprint, span_m, *footprint.centre) for footprint in read_footprints(folder)]
    least_m2 = MIN_SHOWN * np.pi / 4 * span_m**2
    kept = tuple(
        photograph
        for photograph in found
        if photograph.area_m2() > least_m2 and not held_out(photograph.lat_deg, photograph.lon_deg, span_m / 2)
    )
    if not kept:
        raise SceneError(
            f"{folder}: none of its photographs fills {MIN_SHOWN:.0%} of a view of {span_m / 1e3:g} km outside the "
            "regions held out"
        )
    return kept
