"""The map of a campaign: where frames were taken, what they show, and how they ended."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from onboard.geodesy import geodetic_from_ecef, wrap_lon_deg
from onboard.whole_file import whole
from sim.ending import ENDINGS, ending
from sim.geojson import split
from sim.record_log import Record
from sim.scenario import Flight, Scenario
from sim.texture import Mosaic

INK, FAINT = "#1c2733", "#66737f"
# More footprints, or more tracks, than this hide the map.
MOST_FOOTPRINTS, MOST_TRACKS = 400, 60


def draw_map(
    path: Path, scenario: Scenario, mosaic: Mosaic, truths: list[Record], fixes: list[Record], limit_m: float
) -> None:
    """Write the map as a PNG. Frames that do not show the Earth have no place on it."""
    with matplotlib.rc_context({"font.size": 9, "text.color": INK, "xtick.color": FAINT, "ytick.color": FAINT}):
        figure = Figure(figsize=(13, 6.9), dpi=125, facecolor="white")
        axes = figure.add_axes((0.03, 0.035, 0.955, 0.95))
        axes.imshow(_world(mosaic), extent=(-180, 180, -90, 90), aspect="equal", interpolation="bilinear")
        for flight in scenario.flights[:MOST_TRACKS]:
            _track(axes, flight)
        placed = [(t, f, ending(f, limit_m)) for t, f in zip(truths, fixes) if t["lat_deg"] is not None]
        for key in ENDINGS:
            _frames(axes, key, [pair for pair in placed if pair[2] == key], len(placed))
        for truth, fix, name in placed:
            if name == "wrong" and fix["lat_deg"] is not None:  # the way to the false place
                there = float(wrap_lon_deg(fix["lon_deg"] - truth["lon_deg"])) + truth["lon_deg"]
                axes.plot((truth["lon_deg"], there), (truth["lat_deg"], fix["lat_deg"]), ":",
                          color=ENDINGS["wrong"].colour, linewidth=1.2)  # fmt: skip
        axes.set(xlim=(-180, 180), ylim=(-90, 90), xticks=range(-180, 181, 30), yticks=range(-90, 91, 30))
        axes.tick_params(length=0, labelsize=8)
        for side in axes.spines.values():
            side.set_visible(False)
        if placed:
            legend = axes.legend(loc="lower left", facecolor="white", edgecolor="none", framealpha=0.85, fontsize=9)
            for handle in legend.legend_handles:
                handle.set_sizes([40])  # type: ignore[union-attr]
                handle.set_alpha(1)  # type: ignore[union-attr]
        with whole(path) as part:
            figure.savefig(part, format="png")


def _frames(axes: Axes, key: str, members: list[tuple[Record, Record, str]], total: int) -> None:
    if not members:
        return
    style, loud = ENDINGS[key], key in ("right", "wrong")
    if total <= MOST_FOOTPRINTS:
        rings = [t["footprint_lonlat_deg"] for t, _, _ in members if t["footprint_lonlat_deg"] is not None]
        pieces = [piece for ring in rings for piece in split(np.array(ring))]
        axes.add_collection(PolyCollection(pieces, facecolors=style.colour, edgecolors="none", alpha=0.12, zorder=2))
        axes.add_collection(
            PolyCollection(pieces, facecolors="none", edgecolors=style.colour, linewidths=0.8, alpha=0.9, zorder=2.1)
        )
    lon, lat = np.array([(t["lon_deg"], t["lat_deg"]) for t, _, _ in members]).T
    crowd = float(np.clip(np.sqrt(MOST_FOOTPRINTS / max(total, 1)), 0.2, 1))
    axes.scatter(
        lon, lat, s=(34 if loud else 17) * (1.0 if key == "wrong" else crowd), c=style.colour, marker=style.marker,
        edgecolors="white", linewidths=0.5 * crowd, zorder=5 if key == "wrong" else 4 if loud else 3,
        label=f"{style.label} ({len(members)})",
    )  # fmt: skip


def _world(mosaic: Mosaic) -> NDArray[np.uint8]:
    """The mosaic as a pale world map, (720, 1440, 3), grey where it has nothing."""
    lat, lon = np.meshgrid(np.arange(720) * -0.25 + 89.875, np.arange(1440) * 0.25 - 179.875, indexing="ij")
    rgb, valid = mosaic.sample(lat, lon, 27.8e3)
    grey = rgb.mean(axis=-1, keepdims=True)
    pale = 255 - 0.42 * (255 - (0.55 * rgb + 0.45 * grey))
    return np.where(valid[..., None], pale, 235).astype(np.uint8)


def _track(axes: Axes, flight: Flight) -> None:
    """The track, where frames are less than half an hour apart."""
    step, half_hour, two_days = np.timedelta64(20, "s"), np.timedelta64(30, "m"), np.timedelta64(2, "D")
    for run in np.split(flight.times, np.flatnonzero(np.diff(flight.times) > half_hour) + 1):
        if len(run) > 1 and run[-1] - run[0] < two_days:
            lat, lon, _ = geodetic_from_ecef(flight.orbit.states(np.arange(run[0], run[-1] + step, step))[0])
            pieces = np.split(np.column_stack([lon, lat]), np.flatnonzero(np.abs(np.diff(lon)) > 180) + 1)
            axes.add_collection(LineCollection(pieces, colors=INK, linewidths=0.6, alpha=0.45))
