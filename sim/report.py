"""A campaign's report: one HTML file with its pictures inside, for a review."""

import html
import json
import os
import platform
from importlib import resources
from pathlib import Path
from string import Template

from onboard.whole_file import write_whole
from sim.charts import (
    breakdown_chart,
    consistency_chart,
    error_chart,
    first_fix_chart,
    latency_chart,
    reliability_chart,
)
from sim.ending import ENDINGS, ending
from sim.footprint import swath_m
from sim.gallery import data_uri, gallery_html
from sim.record_log import Record
from sim.reject_kinds import HARD
from sim.scenario import Scenario
from sim.texture import Mosaic
from sim.world_map import draw_map


def write_report(
    out: Path, scenario: Scenario, mosaic: Mosaic, truths: list[Record], fixes: list[Record], statistics: Record
) -> None:
    """Write ``map.png`` and ``report.html`` into a campaign's directory; its config.json is there already."""
    limit_m = statistics["right_within_m"]
    draw_map(out / "map.png", scenario, mosaic, truths, fixes, limit_m)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    times = sorted(truth["time_utc"][:16].replace("T", " ") for truth in truths)
    swath = swath_m(scenario.mission.camera, scenario.mission.altitude_m)
    template = Template((resources.files("sim") / "report.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=html.escape(f"{scenario.mission.name}: campaign {scenario.name!r}"),
        period=f"{len(truths)} simulated frames, {times[0]} to {times[-1]} UTC, seed {scenario.seed}",
        big=_big(statistics),
        description=html.escape(scenario.description),
        known=_known(config, statistics),
        right_within=html.escape(statistics["right_within"]),
        table=_table(statistics),
        wrong_note=_wrong_note(statistics),
        map=data_uri((out / "map.png").read_bytes(), "png"),
        first_fix=_first_fix(statistics["first_fix"]),
        breakdown=_chart(breakdown_chart(statistics), "solved share by circumstance"),
        accuracy=_accuracy(fixes, statistics),
        reliability=reliability_html(statistics["reliability"]),
        latency=_chart(latency_chart(fixes), "time a frame"),
        cores=os.cpu_count(),
        cards=gallery_html(out, mosaic, truths, fixes, limit_m, swath),
        reasons=_reasons(fixes, limit_m),
        provenance=_provenance(config),
        mission=html.escape(str(config.get("mission", ""))),
        oem=", <code>orbit.oem</code>"
        if len(scenario.flights) == 1
        else ", <code>orbits/</code>" * bool(scenario.flights),
    )
    write_whole(out / "report.html", page)


def _known(config: Record, statistics: Record) -> str:
    """What the runtime knew of every frame beside its pixels."""
    misled = [name for name in statistics["groups"] if name in HARD and HARD[name].misled]
    lie = f" But frames of the group {', '.join(misled)!r} were told an attitude, a wrong one." if misled else ""
    sensors = {"vertical_sigma_deg": "the vertical", "attitude_sigma_deg": "the attitude"}
    told = [f"{name} to {config[key]:g}°" for key, name in sensors.items() if key in config]
    if told:
        return (
            "Every frame was searched knowing the camera, the mission's altitude range and, as sensors would tell, "
            f"{' and '.join(told)} (1-sigma); no position and no time."
        )
    return (
        "Every frame was searched with no prior position, attitude or time: only the camera and the mission's altitude "
        f"range were known.{lie}"
    )


def _big(statistics: Record) -> str:
    total, error = statistics["all"], statistics["all"]["nadir_error_m"]
    wrong = ENDINGS["wrong" if total["wrong"] else "right"].colour
    entries = [
        (total["solved"], f"of {total['frames']} frames solved", ENDINGS["right"].colour),
        (total["wrong"], f"wrong: at most {_percent(total['wrong_rate']['at_most95'])} of frames, 95 % sure", wrong),
        (total["no_fix"], "without a fix", "inherit"),
        (_km(error["median"]), f"median nadir error; 95 %: {_km(error['p95'])}", "inherit"),
        (f"{statistics['latency_ms']['median']:.0f} ms", "median time a frame", "inherit"),
    ]
    share = statistics["first_fix"]["within_one_revolution"] if _is_of_many(statistics["first_fix"]) else None
    if share is not None:
        entries.append((f"{share['value']:.0%}", "of orbits with a right fix within one revolution", "inherit"))
    return "".join(f'<div><b style="color:{colour}">{number}</b>{label}</div>' for number, label, colour in entries)


def _table(statistics: Record) -> str:
    groups = statistics["groups"] if len(statistics["groups"]) > 1 else {}
    heads = ("frames", "all", "solved", "wrong", "no fix", "solved, 95 %", "wrong at most", "median error", "95 %")
    rows = [_row(heads, "th")]
    for name, each in {"all": statistics["all"], **groups, **statistics["classes"]}.items():
        if each["frames"]:
            rate, error = each["solved_rate"], each["nadir_error_m"]
            wrong = f'<span class="bad">{each["wrong"]}</span>' if each["wrong"] else 0
            rows.append(
                _row((
                    name, each["frames"], each["solved"], wrong, each["no_fix"],
                    f"{rate['value']:.0%} ({rate['low95']:.0%} to {rate['high95']:.0%})",
                    _percent(each["wrong_rate"]["at_most95"]), _km(error["median"]), _km(error["p95"]),
                ))
            )  # fmt: skip
    return f"<table>{''.join(rows)}</table>"


def _wrong_note(statistics: Record) -> str:
    total = statistics["all"]
    bound = _percent(total["wrong_rate"]["at_most95"])
    stated = (
        f"By what the fixes state themselves (another place, or their sigmas) {total['wrong_stated']:.2g} were due."
    )
    if total["wrong"]:
        return (
            f"{total['wrong']} fixes of {total['frames']} frames were wrong: at 95 % confidence up to {bound} of such "
            f"frames. {stated}"
        )
    return (
        f"No wrong fix in {total['frames']} frames bounds their share to {bound} at 95 % confidence (the rule of "
        f"three), and no further. {stated}"
    )


def _is_of_many(first: Record | None) -> bool:
    """One orbit makes no share of orbits."""
    return first is not None and len(first["flights"]) > 1


def _first_fix(first: Record | None) -> str:
    if first is None or not _is_of_many(first):
        return ""
    flights = first["flights"]
    never = f"{first['never']} of {len(flights)} orbits never had one." if first["never"] else "Every orbit had one."
    wrong = sum(flight["first_was_wrong"] for flight in flights)
    rows = [
        _row((label, f"{each['value']:.0%}", f"{each['low95']:.0%} to {each['high95']:.0%}"))
        for label, each in (
            ("a right fix", first["within_one_revolution"]),
            (f"a fix within {first['accurate_m'] / 1e3:.0f} km", first["accurate_within_one_revolution"]),
        )
        if each is not None
    ]
    heads = _row(("within one revolution", "orbits", "95 % interval"), "th")
    shares = f"<table>{heads}{''.join(rows)}</table>" if rows else "<p>All are flown for less than one revolution.</p>"
    middle = first["median_first_fix_s"]
    median = "half of the orbits or more never" if middle is None else f"median {middle / 60:.0f} minutes"
    text = (
        f"<p>From the first frame to the first right fix: {median}. {never} The first fix was a wrong one in "
        f"{wrong} orbits.</p>{shares}"
    )
    chart = _chart(first_fix_chart(first), "orbits with a first fix")
    return f'<h2>From lost to found</h2><div class="two"><div>{chart}</div><div>{text}</div></div>'


def _accuracy(fixes: list[Record], statistics: Record) -> str:
    if not statistics["all"]["solved"]:
        return ""
    consistency = statistics["consistency"]
    named = [("joint (3 d.o.f.)", consistency["joint"], 3)]
    named += [(f"{axis} (1 d.o.f.)", each, 1) for axis, each in consistency["axes"].items()]
    for each in consistency["by_inliers"]:
        named.append((f"joint, {each['inliers']} inliers", each, 3))
        named += [(f"&middot; {axis}", part, 1) for axis, part in each["axes"].items()]
    own_pointing = consistency["joint"]["mean_band95"] is not None
    honest = "honest mean, 95 %" if own_pointing else "honest mean"
    heads = ("normalised error squared", "fixes", "mean", honest, "inside 95 % band", "below", "above")
    rows = [_row(heads, "th")]
    for name, each, freedom in named:
        if each["n"]:
            band = (
                f"{freedom} ({each['mean_band95'][0]:.1f} to {each['mean_band95'][1]:.1f})" if own_pointing else freedom
            )
            shares = (f"{each[key]:.0%}" for key in ("inside95", "below", "above"))
            rows.append(_row((name, each["n"], f"{each['mean']:.2f}", band, *shares)))
    no_band = (
        ""
        if own_pointing
        else " How far an honest mean may be off is not told: frames of one flight share the error of pointing that "
        "lasts, and are fewer than they seem."
    )
    return (
        f"<h2>How accurate</h2>{_chart(error_chart(fixes, statistics), 'distribution of errors')}"
        "<h2>Is the stated covariance honest?</h2>"
        f"{_chart(consistency_chart(fixes, statistics), 'normalised errors against chi-squared')}"
        f"<table>{''.join(rows)}</table><p class='faint'>Errors of right fixes over the fix's own covariance "
        f"({statistics['all']['wrong']} wrong ones are left out). Honest: 95 % inside the band, 2.5 % below, 2.5 % "
        f"above. More above: the covariance is too small; more below: too large.{no_band}</p>"
    )


def reliability_html(reliability: Record | None) -> str:
    """The section on the stated chance of a false fix; nothing where best places are not known."""
    if reliability is None:
        return ""
    rows = [
        _row(("best place wrong", "frames", "searched", "best score", "least p", "p &le; 0.1", "p &le; 0.01"), "th")
    ]
    for name, each in {"all": reliability, **reliability["groups"]}.items():
        shares = {level["stated"]: level["value"] for level in each["levels"]}
        rows.append(
            _row((
                name, each["frames"], each["searched"], f"{each['best_score']:.1f}", f"{each['least_stated']:.1g}",
                _percent(shares[0.1]), _percent(shares[0.01]),
            ))
        )  # fmt: skip
    text = (
        "<p>Every frame's best place states a chance p of being reached by a frame that shows nothing known, whether "
        "it became a fix or not. Counted here are the frames whose best place is wrong. Honest: a share of p or less "
        "states p or less. Frames refused before they were searched count, as stating 1.</p>"
    )
    chart = _chart(reliability_chart(reliability), "stated chance of a false fix against its frequency")
    return (
        f'<h2>Is the stated chance of a false fix honest?</h2>{text}<div class="two"><div>{chart}</div>'
        f"<div><table>{''.join(rows)}</table></div></div>"
    )


def _reasons(fixes: list[Record], limit_m: float) -> str:
    rows = []
    for name, style in ENDINGS.items():
        members = [fix for fix in fixes if ending(fix, limit_m) == name]
        if members and name not in ("right", "wrong"):
            label = f'<span style="color:{style.colour}">{style.label}</span>'
            rows.append(_row((label, len(members), html.escape(members[0]["reason"] or "-"))))
    if not rows:
        return "<p>Every frame had a fix.</p>"
    return f'<table class="left">{_row(("ending", "frames", "for instance"), "th")}{"".join(rows)}</table>'


def _provenance(config: Record) -> str:
    """The configuration as rows; the mission file stands below them, the frames' times in config.json alone."""
    entries = {key: value for key, value in config.items() if key not in ("mission", "settings")}
    settings = {key: value for key, value in config.get("settings", {}).items() if key != "flights"}
    entries |= {f"setting {key}": value for key, value in settings.items()}
    entries["made on"] = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    rows = []
    for key, value in entries.items():
        for part in value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]:
            if isinstance(part, dict):
                part = ", ".join(f"{name} {each}" for name, each in part.items())
            rows.append(_row((html.escape(key), f"<code>{html.escape(str(part))}</code>")))
    return "".join(rows)


def _chart(svg: bytes, alt: str) -> str:
    return f'<img src="{data_uri(svg, "svg+xml")}" alt="{alt}">'


def _row(cells: tuple[object, ...], tag: str = "td") -> str:
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"


def _km(value_m: float | None) -> str:
    return "-" if value_m is None else f"{value_m / 1e3:.1f} km"


def _percent(share: float) -> str:
    """Two significant digits: 3.0 %, 0.010 %."""
    return f"{share:.0%}" if share >= 0.1 else f"{100 * share:.2g} %"
