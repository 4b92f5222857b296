"""The demo's report: one HTML file, pictures inside."""

import base64
import html
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array, azimuth_deg, destination, distance_m
from onboard.images import read_image
from sim.footprint import swath_m
from sim.picture import INK, STYLES, ending, place
from sim.record_log import RecordLog, write_whole
from sim.scenario import Scenario
from sim.texture import Mosaic

Record = dict[str, Any]
CROP_PX = 420  # side of the map beside a frame


def write_report(out: Path, scenario: Scenario, mosaic: Mosaic, statistics: Record) -> Path:
    """Write ``out/report.html`` of the campaign in ``out/campaign``; returns its path."""
    campaign = out / "campaign"
    truths = RecordLog(campaign / "truth.jsonl").finish()
    fixes = RecordLog(campaign / "fixes.jsonl").finish()
    total, error = statistics["all"], statistics["all"]["nadir_error_m"]["median"]
    camera, mission = scenario.mission.camera, scenario.mission
    swath_km = swath_m(camera, mission.altitude_m) / 1e3
    pack_mb = sum(file.stat().st_size for file in (out / "pack").iterdir()) / 2**20
    big = [
        (f"{total['solved']}", f"of {total['frames']} frames solved", STYLES["right"].colour),
        (f"{total['wrong']}", "wrong fixes", STYLES["wrong" if total["wrong"] else "right"].colour),
        (f"{total['no_fix']}", "honest refusals", STYLES["NO_MATCH"].colour),
        ("-" if error is None else f"{error / 1e3:.1f} km", "median error of a fix", INK),
        (f"{statistics['latency_ms']['median']:.0f} ms", "median time a frame", INK),
        (f"{pack_mb:.1f} MiB", "flight pack, the Earth's land", INK),
    ]
    cards = [
        _card(campaign, mosaic, truths[i], fixes[i], statistics, swath_km) for i in _chosen(truths, fixes, statistics)
    ]
    template = Template((resources.files("sim") / "demo_report.html").read_text(encoding="utf-8"))
    page = template.substitute(
        big="".join(f'<div><b style="color:{colour}">{number}</b>{label}</div>' for number, label, colour in big),
        altitude_km=f"{mission.altitude_m / 1e3:.0f}",
        frames=total["frames"],
        size=f"{camera.width}&times;{camera.height}",
        swath_km=f"{swath_km:.0f}",
        right_within=html.escape(statistics["right_within"]),
        map=_data_uri((campaign / "map.png").read_bytes(), "png"),
        table=_table(statistics),
        reasons=_reasons(fixes, statistics),
        cards="".join(cards),
        statistics=html.escape(str(campaign / "statistics.json")),
    )
    path = out / "report.html"
    write_whole(path, page)
    return path


def _table(statistics: Record) -> str:
    heads = ("frames", "all", "solved", "wrong", "no fix", "solved, 95 % interval", "median error")
    rows = [f"<tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>"]
    for name, summary in {"all": statistics["all"], **statistics["classes"]}.items():
        if summary["frames"]:
            rate, median = summary["solved_rate"], summary["nadir_error_m"]["median"]
            cells = [
                name, summary["frames"], summary["solved"], summary["wrong"], summary["no_fix"],
                f"{rate['low95']:.0%} to {rate['high95']:.0%}", "-" if median is None else f"{median / 1e3:.1f} km",
            ]  # fmt: skip
            rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _reasons(fixes: list[Record], statistics: Record) -> str:
    rows = []
    for name, style in STYLES.items():
        members = [fix for fix in fixes if ending(fix, statistics["right_within_m"]) == name]
        if members:
            example = html.escape(members[0]["reason"] or "-")
            rows.append(
                f'<tr><td style="color:{style.colour}">{style.label}</td><td>{len(members)}</td>'
                f'<td style="text-align:left" class="faint">{example}</td></tr>'
            )
    heads = "<tr><th>ending</th><th>frames</th><th style='text-align:left'>for instance</th></tr>"
    return f"<table>{heads}{''.join(rows)}</table>"


def _chosen(truths: list[Record], fixes: list[Record], statistics: Record) -> list[int]:
    """Every wrong fix, and up to six right and four missing ones, spread over the flight."""
    endings = [ending(fix, statistics["right_within_m"]) for fix in fixes]
    wrong = [i for i, name in enumerate(endings) if name == "wrong"]
    right = [i for i, name in enumerate(endings) if name == "right"]
    sunlit = [i for i, truth in enumerate(truths) if truth["sun_elevation_deg"] > 0]
    none = [i for i in sunlit if endings[i] not in ("right", "wrong")]
    return [*wrong, *_spread(right, 6), *_spread(none, 4)]


def _spread(items: list[int], count: int) -> list[int]:
    chosen = np.linspace(0, len(items) - 1, min(count, len(items))).astype(int)
    return [items[i] for i in chosen]


def _card(campaign: Path, mosaic: Mosaic, truth: Record, fix: Record, statistics: Record, swath_km: float) -> str:
    style = STYLES[ending(fix, statistics["right_within_m"])]
    frame = read_image(campaign / truth["file"])
    small = cv2.resize(frame, (560, round(560 * frame.shape[0] / frame.shape[1])), interpolation=cv2.INTER_AREA)
    crop = _map_around(mosaic, truth, fix, 0.75 * swath_km * 1e3, style.colour)
    told = fix["reason"] or style.label
    if fix["error_m"] is not None:
        told = (
            f"found {place(fix['lat_deg'], fix['lon_deg'])}, {fix['error_m'] / 1e3:.1f} km off, "
            f"{fix['inliers']} landmarks, "
            f"false-fix probability {fix['false_fix_probability'] or 0:.0e}"
        )
    pictures = "".join(f'<img src="{_jpeg_uri(picture)}" alt="">' for picture in (small, crop))
    label = f'<b style="color:{style.colour}">{style.label}</b>'
    return (
        f'<div class="card"><div class="pair">{pictures}</div>{label} &nbsp; truth '
        f'{place(truth["lat_deg"], truth["lon_deg"])}<br><span class="faint">{html.escape(told)}</span></div>'
    )


def _map_around(mosaic: Mosaic, truth: Record, fix: Record, half_m: float, colour: str) -> NDArray[np.uint8]:
    """The map around the truth, azimuthal equidistant, with truth, fix and footprint drawn in; RGB."""
    axis = (np.arange(CROP_PX) + 0.5) / CROP_PX * 2 - 1
    east, south = np.meshgrid(axis * half_m, axis * half_m)
    lat, lon = destination(
        truth["lat_deg"], truth["lon_deg"], np.degrees(np.arctan2(east, -south)), np.hypot(east, south)
    )
    picture = np.ascontiguousarray(mosaic.sample(lat, lon, 2 * half_m / CROP_PX)[0])

    def pixels(lonlat: Array) -> NDArray[np.int32]:
        bearing = np.radians(azimuth_deg(truth["lat_deg"], truth["lon_deg"], lonlat[:, 1], lonlat[:, 0]))
        way = distance_m(truth["lat_deg"], truth["lon_deg"], lonlat[:, 1], lonlat[:, 0]) / half_m
        offset = np.column_stack([np.sin(bearing), -np.cos(bearing)]) * way[:, None]
        return np.round((offset + 1) / 2 * CROP_PX * 8 - 4).astype(np.int32)  # eighths of a pixel, for cv2's shift

    rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    outline = np.array(truth["footprint_lonlat_deg"])
    cv2.polylines(picture, [pixels(outline)], True, rgb, 1, cv2.LINE_AA, 3)
    centre = (CROP_PX // 2, CROP_PX // 2)
    cv2.drawMarker(picture, centre, (255, 255, 255), cv2.MARKER_CROSS, 22, 1, cv2.LINE_AA)
    if fix["error_m"] is not None and fix["error_m"] < 1.4 * half_m:
        found = pixels(np.array([[fix["lon_deg"], fix["lat_deg"]]]))[0]
        cv2.circle(picture, (int(found[0]), int(found[1])), 7 * 8, rgb, 2, cv2.LINE_AA, 3)
    return picture


def _jpeg_uri(rgb: NDArray) -> str:
    return _data_uri(cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes(), "jpeg")


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
