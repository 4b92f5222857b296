"""The picture of a campaign: world map with track, footprints and fixes; errors; reasons; a strip of frames."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from onboard.geodesy import Array, geodetic_from_ecef, wrap_lon_deg
from sim.scenario import Scenario
from sim.statistics import outcome
from sim.texture import Mosaic

Record = dict[str, Any]

INK, PAPER, FAINT = "#e8edf2", "#10161d", "#8fa1b3"


@dataclass(frozen=True)
class Style:
    """How an ending of a frame is drawn."""

    label: str
    colour: str
    marker: str


STYLES = {
    "right": Style("right fix", "#37e67d", "o"),
    "wrong": Style("WRONG fix", "#ff2e4d", "X"),
    "NO_MATCH": Style("no fix: no match", "#ffb347", "o"),
    "AMBIGUOUS": Style("no fix: ambiguous", "#c792ea", "o"),
    "FEATURELESS": Style("no fix: featureless", "#9fd3ff", "o"),
    "DARK": Style("no fix: dark", "#7d8fa3", "o"),
    "SATURATED": Style("no fix: saturated", "#fff7d6", "o"),
    "other": Style("no fix: other", "#d9d9d9", "o"),
}


def ending(fix: Record, limit_m: float) -> str:
    """The key of STYLES of a fix record."""
    result = outcome(fix, limit_m)
    if result != "none":
        return result
    return fix["status"] if fix["status"] in STYLES else "other"


def draw_campaign(
    out: Path, scenario: Scenario, mosaic: Mosaic, truths: list[Record], fixes: list[Record], statistics: Record
) -> None:
    """Write ``out/map.png``."""
    endings = [ending(fix, statistics["right_within_m"]) for fix in fixes]
    figure = Figure(figsize=(16, 13.2), facecolor=PAPER, dpi=110)
    grid = figure.add_gridspec(3, 6, height_ratios=[8.2, 2.1, 2.1], left=0.035, right=0.985, top=0.935, bottom=0.03,
                               hspace=0.2, wspace=0.06)  # fmt: skip
    colours: Any = {"text.color": INK, "axes.labelcolor": FAINT, "xtick.color": FAINT, "ytick.color": FAINT}
    with matplotlib.rc_context(colours):
        _map(figure.add_subplot(grid[0, :]), scenario, mosaic, truths, fixes, endings)
        _errors(figure.add_subplot(grid[1, :3]), fixes, statistics)
        _reasons(figure.add_subplot(grid[1, 4:]), endings)
        for column, index in enumerate(_telling_frames(truths, endings, 6)):
            _frame(figure.add_subplot(grid[2, column]), out, truths[index], fixes[index], endings[index])
        total = statistics["all"]
        figure.suptitle(
            f"{scenario.mission.name}: {total['frames']} frames, {total['solved']} solved, {total['wrong']} wrong, "
            f"{total['no_fix']} without a fix", x=0.035, ha="left", fontsize=19, color=INK, weight="bold",
        )  # fmt: skip
        first, last = (truth["time_utc"][:16].replace("T", " ") for truth in (truths[0], truths[-1]))
        note = f"{first} to {last} UTC, right: within {statistics['right_within']}"
        figure.text(0.035, 0.942, note, color=FAINT, fontsize=11)
    temporary = out / "map.png.tmp"
    figure.savefig(temporary, format="png")
    temporary.replace(out / "map.png")


def _map(
    axes: Axes, scenario: Scenario, mosaic: Mosaic, truths: list[Record], fixes: list[Record], endings: list[str]
) -> None:
    axes.imshow(_world(mosaic), extent=(-180, 180, -90, 90), aspect="equal", interpolation="bilinear")
    for times in _track_pieces(scenario.times):
        lat, lon, _ = geodetic_from_ecef(scenario.orbit.states(times)[0])
        jumps = np.flatnonzero(np.abs(np.diff(lon)) > 180) + 1
        pieces = np.split(np.column_stack([lon, lat]), jumps)
        axes.add_collection(LineCollection(pieces, colors="white", linewidths=0.7, alpha=0.45))
    for key, style in STYLES.items():
        chosen = [index for index, name in enumerate(endings) if name == key]
        if not chosen:
            continue
        rings = [np.array(truths[index]["footprint_lonlat_deg"]) for index in chosen]
        outlines = [piece for ring in rings for piece in _map_pieces(ring)]
        axes.add_collection(PolyCollection(outlines, facecolors=style.colour, edgecolors="none", alpha=0.10, zorder=2))
        axes.add_collection(
            PolyCollection(outlines, facecolors="none", edgecolors=style.colour, linewidths=0.9, alpha=0.9, zorder=2.1)
        )
        loud = key in ("right", "wrong")
        lon, lat = np.array([(truths[index]["lon_deg"], truths[index]["lat_deg"]) for index in chosen]).T
        axes.scatter(
            lon, lat, s=34 if loud else 15, c=style.colour, marker=style.marker, edgecolors=PAPER, linewidths=0.6,
            zorder=4 if loud else 3, label=f"{style.label} ({len(chosen)})",
        )  # fmt: skip
    for truth, fix, name in zip(truths, fixes, endings):
        if name == "wrong":  # the false place, and the way there
            way = (wrap_lon_deg(fix["lon_deg"] - truth["lon_deg"]) + truth["lon_deg"], truth["lon_deg"])
            axes.plot(way, (fix["lat_deg"], truth["lat_deg"]), ":", color=STYLES["wrong"].colour, linewidth=1.2)
    axes.set(xlim=(-180, 180), ylim=(-90, 90), xticks=range(-180, 181, 30), yticks=range(-90, 91, 30))
    axes.tick_params(length=0, labelsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
    legend = axes.legend(
        loc="lower left", facecolor=PAPER, edgecolor="none", framealpha=0.75, labelcolor=INK, fontsize=10
    )
    for handle in legend.legend_handles:
        handle.set_sizes([40])  # type: ignore[union-attr]


def _world(mosaic: Mosaic) -> NDArray[np.uint8]:
    """The mosaic as a dim world map, (720, 1440, 3)."""
    lat, lon = np.meshgrid(np.arange(720) * -0.25 + 89.875, np.arange(1440) * 0.25 - 179.875, indexing="ij")
    rgb, _ = mosaic.sample(lat, lon, 27.8e3)
    grey = rgb.mean(axis=-1, keepdims=True)
    return (0.62 * (0.6 * rgb + 0.4 * grey) + 6).astype(np.uint8)


def _track_pieces(times: NDArray[np.datetime64]) -> list[NDArray[np.datetime64]]:
    """Dense times along the track, frame to frame, where frames are less than half an hour apart."""
    pieces, step, half_hour = [], np.timedelta64(20, "s"), np.timedelta64(30, "m")
    runs = np.split(times, np.flatnonzero(np.diff(times) > half_hour) + 1)
    for run in runs:
        if len(run) > 1 and run[-1] - run[0] < np.timedelta64(2, "D"):
            pieces.append(np.arange(run[0], run[-1] + step, step))
    return pieces


def _map_pieces(outline_lonlat: Array) -> list[Array]:
    """The outline as polygons of a map from -180 to 180: copies for the antimeridian, closed over a pole."""
    lon = np.unwrap(outline_lonlat[:, 0], period=360)
    lat = outline_lonlat[:, 1]
    closing = lon[0] + wrap_lon_deg(outline_lonlat[-1, 0] - lon[0]) - lon[-1]
    if abs(closing) > 180:  # the outline goes once round a pole
        pole = np.copysign(90.0, lat.mean())
        turn = np.copysign(360.0, lon[-1] - lon[0])
        lon = np.concatenate([lon, [lon[0] + turn, lon[0] + turn, lon[0]]])
        lat = np.concatenate([lat, [lat[0], pole, pole]])
    return [
        np.column_stack([lon + shift, lat])
        for shift in (-720, -360, 0, 360, 720)
        if (lon + shift).max() > -180 and (lon + shift).min() < 180
    ]


def _errors(axes: Axes, fixes: list[Record], statistics: Record) -> None:
    errors_km = np.array([fix["error_m"] for fix in fixes if fix["error_m"] is not None]) / 1e3
    limit_km = statistics["right_within_m"] / 1e3
    if len(errors_km):
        low = min(errors_km.min(), 0.5) / 1.5
        bins = np.geomspace(low, max(errors_km.max(), limit_km) * 1.3, 36).tolist()
        right = errors_km <= limit_km
        axes.hist([errors_km[right], errors_km[~right]], bins=bins, stacked=True,
                  color=[STYLES["right"].colour, STYLES["wrong"].colour])  # fmt: skip
        axes.set_xscale("log")
        axes.axvline(limit_km, color=FAINT, linestyle="--", linewidth=1)
        median = statistics["all"]["nadir_error_m"]["median"]
        note = f"median {median / 1e3:.1f} km" if median is not None else ""
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        note = "no fix, no error"
    axes.set_title(f"nadir error of fixes, km   {note}", loc="left", fontsize=11, color=INK)
    _plain(axes)


def _reasons(axes: Axes, endings: list[str]) -> None:
    names = [name for name in STYLES if name in endings][::-1]
    counts = [endings.count(name) for name in names]
    axes.barh([STYLES[name].label for name in names], counts, color=[STYLES[name].colour for name in names], height=0.7)
    for row, count in enumerate(counts):
        axes.text(count, row, f" {count}", va="center", color=INK, fontsize=10)
    axes.set_title("how frames ended", loc="left", fontsize=11, color=INK)
    axes.set_xticks([])
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.set_facecolor(PAPER)
    axes.tick_params(labelsize=9)
    for name, side in axes.spines.items():
        side.set_visible(name == "bottom")
        side.set_color(FAINT)


def _telling_frames(truths: list[Record], endings: list[str], count: int) -> list[int]:
    """Indices of frames worth showing: wrong ones first, then each ending in turn, the sunlit before the dark."""
    order = ("wrong", "right", "NO_MATCH", "right", "FEATURELESS", "AMBIGUOUS", "right", "SATURATED", "other", "DARK")
    left = {name: [i for i, each in enumerate(endings) if each == name] for name in STYLES}
    for name, members in left.items():
        members.sort(key=lambda i: -truths[i]["land_share"] if name == "right" else -truths[i]["sun_elevation_deg"])
    chosen: list[int] = []
    while len(chosen) < min(count, len(truths)):
        for name in order:
            if left[name] and len(chosen) < count:
                # Every second one, so that neighbours of one pass do not fill the strip.
                chosen.append(left[name].pop(min(len(left[name]) - 1, 2 * len(chosen))))
    return sorted(chosen)


def _frame(axes: Axes, out: Path, truth: Record, fix: Record, name: str) -> None:
    picture = cv2.imread(str(out / truth["file"]))
    if picture is not None:
        height = round(480 * picture.shape[0] / picture.shape[1])
        axes.imshow(cv2.resize(picture, (480, height), interpolation=cv2.INTER_AREA)[..., ::-1])
    style = STYLES[name]
    text = style.label if fix["error_m"] is None else f"{style.label}: {fix['error_m'] / 1e3:.1f} km off"
    where = place(truth["lat_deg"], truth["lon_deg"])
    axes.set_title(f"{where}\n{text}", fontsize=9, color=style.colour, loc="left", pad=4)
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_color(style.colour)
        side.set_linewidth(1.5)


def place(lat_deg: float, lon_deg: float) -> str:
    """A place for people: 12.3°N 45.6°W."""
    return f"{abs(lat_deg):.1f}°{'NS'[lat_deg < 0]} {abs(lon_deg):.1f}°{'EW'[lon_deg < 0]}"
