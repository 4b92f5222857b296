"""Footprints as GeoJSON (RFC 7946): cut at the antimeridian, closed over a pole, rings counterclockwise."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from onboard.geodesy import Array, wrap_lon_deg
from sim.record_log import Record


def footprints_geojson(truths: Iterable[Record], fixes: Iterable[Record], outcomes: Iterable[str]) -> str:
    """A FeatureCollection, a feature a frame: its footprint (null where it shows no Earth), and how it ended."""
    features = [
        {
            "type": "Feature",
            "geometry": None if truth["footprint_lonlat_deg"] is None else geometry(truth["footprint_lonlat_deg"]),
            "properties": {
                "index": truth["index"],
                "time_utc": truth["time_utc"],
                "group": truth["group"],
                "outcome": outcome,
                "status": fix["status"],
                "error_m": fix["error_m"],
                "sun_elevation_deg": truth["sun_elevation_deg"],
                "cloud_cover": truth["cloud_cover"],
                "land_share": truth["land_share"],
            },
        }
        for truth, fix, outcome in zip(truths, fixes, outcomes, strict=True)
    ]
    lines = ",\n".join(json.dumps(feature, allow_nan=False) for feature in features)
    return '{"type": "FeatureCollection", "features": [\n' + lines + "\n]}\n"


def geometry(outline_lonlat_deg: Any) -> Record:
    """A Polygon, or a MultiPolygon where the outline (N, 2) crosses the antimeridian."""
    rings = [[np.vstack([ring, ring[:1]]).round(6).tolist()] for ring in split(np.asarray(outline_lonlat_deg))]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def split(outline_lonlat_deg: Array) -> list[Array]:
    """The area inside an outline (N, 2), degrees, on a map from -180 to 180: rings, open and counterclockwise."""
    lon = np.unwrap(outline_lonlat_deg[:, 0], period=360)
    lat = outline_lonlat_deg[:, 1]
    end = lon[-1] + float(wrap_lon_deg(outline_lonlat_deg[0, 0] - lon[-1]))
    if abs(end - lon[0]) > 180:  # once round a pole: along the map's edge and over the pole
        pole = np.copysign(90.0, lat.mean())
        lon = np.concatenate([lon, [end, end, lon[0]]])
        lat = np.concatenate([lat, [lat[0], pole, pole]])
    ring = np.column_stack([lon, lat])
    first, last = np.floor((lon.min() + 180) / 360), np.floor((lon.max() + 180) / 360)
    pieces = []
    for turn in np.arange(first, last + 1):
        piece = _clip(_clip(ring - [360 * turn, 0], -180.0, 1.0), 180.0, -1.0)
        if abs(_area(piece)) > 1e-9:
            pieces.append(piece if _area(piece) > 0 else piece[::-1])
    return pieces


def _clip(ring: Array, meridian: float, side: float) -> Array:
    """The part of a ring to the east (side 1) or west (-1) of a meridian (Sutherland and Hodgman 1974)."""
    kept: list[Array] = []
    for here, there in zip(ring, np.roll(ring, -1, axis=0)):
        before, after = side * (here[0] - meridian), side * (there[0] - meridian)
        if before >= 0:
            kept.append(here)
        if before * after < 0:
            crossing = here + (there - here) * before / (before - after)
            kept.append(np.array([meridian, crossing[1]]))
    return np.array(kept).reshape(-1, 2)


def _area(ring: Array) -> float:
    """Signed area, positive counterclockwise (shoelace)."""
    lon, lat = ring[:, 0], ring[:, 1]
    return float((lon * np.roll(lat, -1) - np.roll(lon, -1) * lat).sum() / 2)
