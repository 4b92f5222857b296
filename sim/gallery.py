"""Frames beside the map: what the camera saw, and where it was put."""

import base64
import html
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array, azimuth_deg, destination, distance_m, latlon_text
from onboard.images import read_image
from sim.ending import ENDINGS, ending
from sim.record_log import Record
from sim.texture import Mosaic

MOST_WRONG, RIGHT, NONE = 12, 6, 6
FRAME_PX, MAP_PX = 480, 360


def gallery_html(
    out: Path, mosaic: Mosaic, truths: list[Record], fixes: list[Record], limit_m: float, swath_m: float
) -> str:
    """Cards of wrong fixes (up to a dozen), and of some right and some missing ones, of the frames that were kept."""
    return "".join(
        _card(out, mosaic, truths[i], fixes[i], limit_m, 0.75 * swath_m) for i in _chosen(out, truths, fixes, limit_m)
    )


def _chosen(out: Path, truths: list[Record], fixes: list[Record], limit_m: float) -> list[int]:
    kept = [i for i, truth in enumerate(truths) if (out / truth["file"]).exists()]
    by_ending: dict[str, list[int]] = {"right": [], "wrong": []}
    missing: dict[tuple[str, str], list[int]] = {}
    for i in kept:
        name = ending(fixes[i], limit_m)
        if name in by_ending:
            by_ending[name].append(i)
        else:
            missing.setdefault((truths[i]["group"], truths[i]["subject"]), []).append(i)
    # Of the missing the sunlit first, and of every kind one before a second of any.
    for members in missing.values():
        members.sort(key=lambda i: -truths[i]["sun_elevation_deg"])
    turns = [members[turn] for turn in range(NONE) for members in missing.values() if turn < len(members)]
    return [*by_ending["wrong"][:MOST_WRONG], *_spread(by_ending["right"], RIGHT), *turns[: max(NONE, len(missing))]]


def _spread(items: list[int], count: int) -> list[int]:
    chosen = np.linspace(0, len(items) - 1, min(count, len(items))).astype(int)
    return [items[i] for i in chosen]


def _card(out: Path, mosaic: Mosaic, truth: Record, fix: Record, limit_m: float, half_m: float) -> str:
    style = ENDINGS[ending(fix, limit_m)]
    frame = read_image(out / truth["file"])
    size = (FRAME_PX, round(FRAME_PX * frame.shape[0] / frame.shape[1]))
    pictures = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA)]
    where = "not of the Earth: " + truth["subject"]
    if truth["lat_deg"] is not None:
        pictures.append(_map_around(mosaic, truth, fix, half_m, style.colour))
        kind = "" if truth["subject"] == "earth" else f"{truth['subject']}, "
        where = (
            f"{kind}{latlon_text(truth['lat_deg'], truth['lon_deg'], 1)}, Sun {truth['sun_elevation_deg']:.0f}°, "
            f"cloud {truth['cloud_cover']:.0%}"
        )
    told = fix["reason"] or style.label
    if fix["status"] == "FIX":
        off = "" if fix["error_m"] is None else f"{fix['error_m'] / 1e3:.1f} km off, "
        told = (
            f"found {latlon_text(fix['lat_deg'], fix['lon_deg'], 1)}, {off}{fix['inliers']} landmarks, "
            f"false-fix probability {fix['false_fix_probability'] or 0:.0e}"
        )
    images = "".join(f'<img src="{_jpeg_uri(picture)}" alt="">' for picture in pictures)
    return (
        f'<div class="card"><div class="pair">{images}</div><p><b style="color:{style.colour}">{style.label}</b> '
        f'#{truth["index"]} &nbsp;{html.escape(where)}<br><span class="faint">{html.escape(told)}</span></p></div>'
    )


def _map_around(mosaic: Mosaic, truth: Record, fix: Record, half_m: float, colour: str) -> NDArray[np.uint8]:
    """The map around the truth, azimuthal equidistant, north up, with truth, fix and footprint drawn in; RGB."""
    axis = (np.arange(MAP_PX) + 0.5) / MAP_PX * 2 - 1
    east, south = np.meshgrid(axis * half_m, axis * half_m)
    lat, lon = destination(
        truth["lat_deg"], truth["lon_deg"], np.degrees(np.arctan2(east, -south)), np.hypot(east, south)
    )
    picture = np.ascontiguousarray(mosaic.sample(lat, lon, 2 * half_m / MAP_PX)[0])

    def pixels(lonlat: Array) -> NDArray[np.int32]:
        bearing = np.radians(azimuth_deg(truth["lat_deg"], truth["lon_deg"], lonlat[:, 1], lonlat[:, 0]))
        way = distance_m(truth["lat_deg"], truth["lon_deg"], lonlat[:, 1], lonlat[:, 0]) / half_m
        offset = np.column_stack([np.sin(bearing), -np.cos(bearing)]) * way[:, None]
        return np.round((offset + 1) / 2 * MAP_PX * 8 - 4).astype(np.int32)  # eighths of a pixel, for cv2's shift

    rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    if truth["footprint_lonlat_deg"] is not None:
        cv2.polylines(
            picture, [pixels(np.array(truth["footprint_lonlat_deg"]))], True, (255, 255, 255), 1, cv2.LINE_AA, 3
        )
    centre = (MAP_PX // 2, MAP_PX // 2)
    cv2.drawMarker(picture, centre, (255, 255, 255), cv2.MARKER_CROSS, 22, 1, cv2.LINE_AA)
    if fix["error_m"] is not None and fix["error_m"] < 1.4 * half_m:
        found = pixels(np.array([[fix["lon_deg"], fix["lat_deg"]]]))[0]
        cv2.circle(picture, (int(found[0]), int(found[1])), 7 * 8, rgb, 2, cv2.LINE_AA, 3)
    return picture


def _jpeg_uri(rgb: NDArray) -> str:
    return data_uri(cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes(), "jpeg")


def data_uri(data: bytes, kind: str) -> str:
    """A picture inside a page; kind: jpeg, png, svg+xml."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
