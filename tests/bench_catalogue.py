"""Votes and consensus against catalogue size, bytes a descriptor, neighbours, probes and frame features.

``python -m tests.bench_catalogue --mosaic F.tif --work DIR --frames DIR``: landmarks are extracted once, by
the packaged networks, into the work directory (minutes) and kept; every variant is quantized, put in memory and asked
about every frame. Reported apart: frames whose right place got most votes; whose right place showed more landmarks
than every wrong place of any frame; the most landmarks and votes of a wrong place.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from index_builder.extraction import Landmarks, Networks, extract_landmarks
from index_builder.mosaic import Mosaic
from index_builder.quantization import quantize
from index_builder.selection import selected
from onboard import Localizer, default_pack, load_camera
from onboard.geodesy import distance_m, geodetic_from_ecef
from onboard.guided import Guide
from onboard.images import read_image
from onboard.landmarks import Catalogue, search_index, to_arrays
from onboard.pack import default_network
from onboard.verification import Verifier

BASE = {"landmarks": 850_000, "parts": 32, "features": 3000, "neighbours": 20, "probes": 16}
VARIANTS: list[dict[str, int]] = [
    {},
    {"neighbours": 10},
    {"probes": 4},
    {"probes": 64},
    {"features": 1000},
    {"landmarks": 425_000},
    {"landmarks": 1_700_000},
    {"parts": 16},
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mosaic", type=Path, nargs="+", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame (default: all)")
    arguments = parser.parse_args()
    with (arguments.frames / "frames.csv").open() as stream:
        rows = list(csv.DictReader(stream))[:: arguments.every]
    localizer = Localizer(default_pack(), load_camera(arguments.frames / rows[0]["camera"]))
    mission = localizer.mission
    networks = Networks(default_network("descriptor"), default_network("orientation"))
    everything = extract_landmarks(
        Mosaic(*arguments.mosaic), mission.latitude_band_deg, mission.gsd_m, networks, arguments.work,
        lambda done, total: None,
    )  # fmt: skip
    assert everything is not None, "the mosaic shows land"
    print(f"{len(everything)} landmarks extracted, {len(rows)} frames")
    pictures = [read_image(arguments.frames / row["file"]) for row in rows]
    catalogues: dict[tuple[int, int], Catalogue] = {}
    for change in VARIANTS:
        variant = BASE | change
        key = (variant["landmarks"], variant["parts"])
        if key not in catalogues:
            catalogues = {key: catalogue_of(everything, *key, mission.latitude_band_deg)}
        fit_out(localizer, catalogues[key], variant)
        print(f"{change or 'base'}: {score(localizer, pictures, rows)}", flush=True)


def catalogue_of(everything: Landmarks, count: int, parts: int, band_deg: tuple[float, float]) -> Catalogue:
    chosen = selected(everything, count, 1024)
    quantized = quantize(chosen.descriptors, parts, 1024, 0)
    chosen = chosen[quantized.order]
    places = to_arrays(chosen.lat_deg, chosen.lon_deg, chosen.angle_deg, chosen.scale_px, band_deg)
    codes = {name: getattr(quantized, name) for name in ("codes", "list_sizes", "coarse", "codebook")}
    return Catalogue.from_arrays({**places, **codes}, band_deg)


def fit_out(localizer: Localizer, catalogue: Catalogue, variant: dict[str, int]) -> None:
    """Give a localizer another catalogue and other search settings: a bench's liberty, not an interface."""
    localizer.search = replace(
        localizer.search, **{name: variant[name] for name in ("features", "neighbours", "probes")}
    )
    localizer.catalogue = catalogue
    localizer._index = search_index(catalogue, variant["probes"])
    localizer._verifier = Verifier(
        catalogue, localizer.mission.gsd_m, localizer.search.scale_ratio, localizer.describer.likeness
    )
    localizer._guide = Guide(catalogue, localizer._verifier, localizer.describer)


def score(localizer: Localizer, pictures: list[np.ndarray], rows: list[dict[str, str]]) -> str:
    votes_first, rights, wrongs, wrong_votes = 0, [], [], []
    for picture, row in zip(pictures, rows):
        known = localizer.knowledge((float(row["altitude_km"]) * 1e3, float(row["altitude_km"]) * 10.0))
        camera = localizer.camera.scaled_to(picture.shape[1], picture.shape[0])
        right = wrong = right_votes = other_votes = 0
        for place in localizer.recognitions(localizer.view(picture, camera, known), camera, known):
            if place.pose is None:
                continue
            lat, lon, _ = geodetic_from_ecef(place.pose.position_ecef_m)
            if distance_m(lat, lon, float(row["lat_deg"]), float(row["lon_deg"])) < 25e3:
                right, right_votes = max(right, place.recognised), max(right_votes, place.agreement.candidate.votes)
            else:
                wrong, other_votes = max(wrong, place.recognised), max(other_votes, place.agreement.candidate.votes)
        rights.append(right)
        wrongs.append(wrong)
        wrong_votes.append(other_votes)
        votes_first += right_votes > other_votes
    above = sum(right > max(wrongs) for right in rights)
    return (
        f"most votes {votes_first}, above every wrong place {above} (landmarks at right places {sum(rights)}); "
        f"most landmarks at a wrong place {max(wrongs)}, most votes {max(wrong_votes)}"
    )


if __name__ == "__main__":
    main()
