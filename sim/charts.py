"""The charts of a campaign's report, each an SVG."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter
from scipy.stats import chi2

from sim.breakdown import BREAKDOWNS
from sim.consistency import AXES, axis_error2
from sim.ending import ENDINGS
from sim.record_log import Record

INK, FAINT, GRID, BLUE = "#1c2733", "#66737f", "#dfe4e8", "#2a6fb0"
RIGHT, WRONG = ENDINGS["right"].colour, ENDINGS["wrong"].colour
_STYLE: Any = {
    "font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT, "xtick.color": FAINT,
    "ytick.color": FAINT, "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.7, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.titlelocation": "left",
    "axes.titleweight": "bold", "svg.hashsalt": "nadir",
}  # fmt: skip


def _svg(draw: Callable[[Figure], None], width: float, height: float) -> bytes:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        stream = BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
        return stream.getvalue()


def breakdown_chart(statistics: Record) -> bytes:
    """Solved and wrong shares with their 95 % intervals in every bin of every breakdown, and how all frames ended."""

    def draw(figure: Figure) -> None:
        panels = figure.subplots(2, 3).ravel()
        for axes, (name, breakdown) in zip(panels, BREAKDOWNS.items()):
            _breakdown(axes, breakdown.title, [each for each in statistics["breakdowns"][name] if each["frames"]])
        _endings(panels[5], statistics)

    return _svg(draw, 11.4, 6.4)


def _breakdown(axes: Axes, title: str, bins: list[Record]) -> None:
    at = np.arange(len(bins))
    for key, colour, aside in (("solved_rate", RIGHT, -0.12), ("wrong_rate", WRONG, 0.22)):
        value, low, high = (
            np.array([each[key][name] for each in bins], float) for name in ("value", "low95", "high95")
        )
        axes.bar(at, value, color=colour, alpha=0.22, width=0.8)
        axes.errorbar(
            at + aside, value, [value - low, high - value], fmt="o", color=colour, linewidth=1.2, capsize=2,
            markersize=3.5, alpha=1.0 if key == "solved_rate" else 0.6,
        )  # fmt: skip
    labels = [f"{each['bin'].replace(' to ', chr(10) + 'to ')}\nn={each['frames']}" for each in bins]
    axes.set_xticks(at, labels, fontsize=6.5)
    axes.set(ylim=(0, 1.02), title=title)
    axes.set_yticks(np.arange(0, 1.01, 0.25))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(axis="x", visible=False)


def _endings(axes: Axes, statistics: Record) -> None:
    total = statistics["all"]
    counts = {"right": total["solved"], "wrong": total["wrong"]}
    for status, count in statistics["statuses"].items():
        if status != "FIX":
            key = status if status in ENDINGS else "other"
            counts[key] = counts.get(key, 0) + count
    names = [name for name in ENDINGS if counts.get(name)][::-1]
    axes.barh(
        [ENDINGS[name].label for name in names], [counts[name] for name in names],
        color=[ENDINGS[name].colour for name in names], height=0.7,
    )  # fmt: skip
    for row, name in enumerate(names):
        axes.text(counts[name], row, f" {counts[name]}", va="center")
    axes.set(title="how frames ended", xlim=(0, 1.15 * max(counts.values(), default=1) + 1))
    axes.grid(visible=False)
    axes.set_xticks([])


def error_chart(fixes: Sequence[Record], statistics: Record) -> bytes:
    """Distribution of the nadir error, and of the error along each axis, of right fixes."""
    limit_m = statistics["right_within_m"]
    right = [fix for fix in fixes if fix["error_m"] is not None and fix["error_m"] <= limit_m]

    def draw(figure: Figure) -> None:
        nadir, by_axis = figure.subplots(1, 2)
        errors_km = np.sort([fix["error_m"] for fix in right]) / 1e3
        _cdf(nadir, errors_km, RIGHT, "right fixes")
        nadir.axvline(
            limit_m / 1e3, color=WRONG, linestyle="--", linewidth=1, label=f"wrong beyond {limit_m / 1e3:.0f} km"
        )
        for share, name in ((50, "median"), (95, "95 %")):
            at = float(np.percentile(errors_km, share))
            nadir.plot([at], [share / 100], "o", color=INK, markersize=4)
            nadir.annotate(f"{name} {at:.2f} km", (at, share / 100), (6, -10), textcoords="offset points", fontsize=8)
        nadir.set_xscale("log")
        _plain_log(nadir.xaxis)
        nadir.set(title="nadir error, km", ylim=(0, 1.25), yticks=np.arange(0, 1.01, 0.25))
        nadir.legend(loc="upper left", frameon=False, fontsize=8)
        for i, (axis, colour) in enumerate(zip(AXES, (BLUE, RIGHT, ENDINGS["NO_MATCH"].colour))):
            signed = np.sort([fix["error_neu_m"][i] for fix in right]) / 1e3
            _cdf(by_axis, signed, colour, f"{axis}: mean {signed.mean():+.2f}, sigma {signed.std():.2f} km")
        by_axis.axvline(0, color=FAINT, linewidth=0.8)
        by_axis.set(
            title="error along each axis, km (camera's position)", ylim=(0, 1.3), yticks=np.arange(0, 1.01, 0.25)
        )
        by_axis.legend(loc="upper left", frameon=False, fontsize=8)

    return _svg(draw, 11.4, 3.5)


def consistency_chart(fixes: Sequence[Record], statistics: Record) -> bytes:
    """Normalised errors of right fixes against chi-squared: their distributions, and the joint mean by inliers."""
    limit_m = statistics["right_within_m"]
    right = [
        fix for fix in fixes
        if fix["normalised_error2"] is not None and fix["error_m"] is not None and fix["error_m"] <= limit_m
    ]  # fmt: skip

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, 3)
        axes_errors = np.array([axis_error2(fix, i) for fix in right for i in range(3)])
        joint = np.array([fix["normalised_error2"] for fix in right])
        for axes, values, freedom, title in (
            (panels[0], joint, 3, "joint: north, east and up"),
            (panels[1], axes_errors, 1, "single axes"),
        ):
            values = np.sort(values[np.isfinite(values)])
            low, high = chi2.ppf([0.025, 0.975], freedom)
            axes.axvspan(low, high, color=BLUE, alpha=0.08)
            x = np.geomspace(min(low, values[0]) / 2, max(high, values[-1]) * 2, 300)
            axes.plot(x, chi2.cdf(x, freedom), color=BLUE, linewidth=1.5, label=f"$\\chi^2$, {freedom} d.o.f.")
            inside = float(((values >= low) & (values <= high)).mean())
            _cdf(axes, values, RIGHT, f"fixes: {inside:.0%} in the 95 % band")
            axes.set_xscale("log")
            axes.set(title=title, ylim=(0, 1.25), yticks=np.arange(0, 1.01, 0.25), xlabel="normalised error squared")
            axes.legend(loc="upper left", frameon=False, fontsize=8)
        _by_inliers(panels[2], statistics["consistency"]["by_inliers"])

    return _svg(draw, 11.4, 3.5)


def _by_inliers(axes: Axes, bins: list[Record]) -> None:
    bins = [each for each in bins if each["n"]]
    for i, each in enumerate(bins):
        if each["mean_band95"] is not None:
            low, high = each["mean_band95"]
            axes.plot([i, i], [max(low, 0.05), high], color=BLUE, linewidth=9, alpha=0.25, solid_capstyle="butt")
        axes.plot([i], [max(each["mean"], 0.05)], "o", color=RIGHT)
    axes.axhline(3, color=BLUE, linewidth=1)
    axes.set_yscale("log")
    _plain_log(axes.yaxis)
    axes.set_xticks(
        range(len(bins)), [f"{each['inliers'].replace(' to ', '-')}\nn={each['n']}" for each in bins], fontsize=7
    )
    band = ", band" if any(each["mean_band95"] is not None for each in bins) else ""
    axes.set(title=f"mean by inliers (honest: 3{band})", xlim=(-0.6, len(bins) - 0.4))


def reliability_chart(reliability: Record) -> bytes:
    """Share of frames that stated a chance of a false fix of p or less, against p, of frames whose best place is wrong;
    honest is the diagonal, or less."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        levels = reliability["levels"]
        stated, low, high = (np.array([each[key] for each in levels]) for key in ("stated", "low95", "at_most95"))
        seen = np.array([each["frames"] > 0 for each in levels])
        floor = 0.2 / reliability["frames"]
        axes.plot([stated[0], 1], [stated[0], 1], color=BLUE, linewidth=1.5, label="honest: on the diagonal or below")
        axes.vlines(stated, np.maximum(low, floor), high, color=RIGHT, linewidth=5, alpha=0.25)
        value = np.array([each["value"] for each in levels])
        axes.plot(stated[seen], value[seen], "o", color=RIGHT, markersize=4, label="share of frames, 95 % interval")
        axes.plot(stated[~seen], high[~seen], "v", color=FAINT, markersize=4, label="none seen: at most, 95 %")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set(title="stated chance of a false fix", xlabel="p", ylabel="share of frames that stated p or less",
                 xlim=(stated[0], 1), ylim=(floor, 1))  # fmt: skip
        axes.legend(loc="upper left", frameon=False, fontsize=8)

    return _svg(draw, 5.6, 4.2)


def latency_chart(fixes: Sequence[Record]) -> bytes:
    """Time a frame took the runtime, while every core was busy, and the simulator."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for key, colour, label in (("latency_ms", RIGHT, "localize"), ("render_ms", FAINT, "render (not on board)")):
            values = np.sort([fix[key] for fix in fixes])
            shares = f"median {np.median(values):.0f}, 95 % {np.percentile(values, 95):.0f} ms"
            _cdf(axes, np.maximum(values, 0.1), colour, f"{label}: {shares}")
        axes.set_xscale("log")
        _plain_log(axes.xaxis)
        axes.set(title="time a frame, ms", ylim=(0, 1.25), yticks=np.arange(0, 1.01, 0.25))
        axes.legend(loc="upper left", frameon=False, fontsize=8)

    return _svg(draw, 5.6, 3.2)


def first_fix_chart(first: Record) -> bytes:
    """Share of flights that have had a right fix, by time since their first frame."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        flights = first["flights"]
        end = max(each["flown_s"] / each["revolution_s"] for each in flights)
        for key, colour, label in (
            ("first_fix_s", RIGHT, "any right fix"),
            ("first_accurate_fix_s", BLUE, f"within {first['accurate_m'] / 1e3:.0f} km"),
        ):
            times = np.sort([each[key] / each["revolution_s"] for each in flights if each[key] is not None])
            axes.step([0, *times, end], [0, *(np.arange(len(times)) + 1), len(times)], where="post", color=colour,
                      label=f"{label} ({len(times)} of {len(flights)})")  # fmt: skip
        axes.axvline(1, color=FAINT, linestyle="--", linewidth=1)
        axes.set(title="orbits with a first fix", xlabel="revolutions since the first frame", xlim=(0, 1.05 * end),
                 ylim=(0, len(flights) * 1.03))  # fmt: skip
        axes.legend(loc="lower right", frameon=False, fontsize=8)

    return _svg(draw, 5.6, 3.2)


def _plain_log(axis: Axis) -> None:
    """Plain numbers at 1, 2 and 5 of each decade of a logarithmic axis, so that less than one has some."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def _cdf(axes: Axes, ordered: np.ndarray, colour: str, label: str) -> None:
    axes.step(
        ordered, (np.arange(len(ordered)) + 1) / len(ordered), where="post", color=colour, linewidth=1.6, label=label
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
