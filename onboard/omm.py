"""CCSDS orbit mean-elements messages (OMM, CCSDS 502.0) read as plain keywords and values.

Their meaning is the ground's business; the mission file carries them along.
"""

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

NEEDED = ("EPOCH", "MEAN_MOTION", "ECCENTRICITY", "INCLINATION", "RA_OF_ASC_NODE", "ARG_OF_PERICENTER", "MEAN_ANOMALY")


def load_omm(path: Path) -> dict[str, str]:
    """The keywords and values of the one satellite in an OMM: XML, JSON, CSV, or KVN (KEYWORD = value).

    Raises ValueError saying what is wrong; OSError from the file.
    """
    text = path.read_text(encoding="utf-8-sig").strip()
    if text.startswith("<"):
        messages = _xml(text)
    elif text.startswith(("{", "[")):
        plain = json.loads(text)
        messages = plain if isinstance(plain, list) else [plain]
    elif "=" in text.partition("\n")[0]:
        messages = [_kvn(text)]
    else:
        messages = list(csv.DictReader(text.splitlines()))
    if len(messages) != 1:
        raise ValueError(f"{path} holds {len(messages)} satellites; keep the one that flies")
    return omm_fields(messages[0])


def omm_fields(value: Any) -> dict[str, str]:
    """Keywords and values as text; ValueError for what is no OMM."""
    if not isinstance(value, dict):
        raise ValueError("an OMM is a mapping of keywords to values")
    missing = [keyword for keyword in NEEDED if value.get(keyword) in (None, "")]
    if missing:
        raise ValueError(f"the OMM has no {', '.join(missing)}")
    return {str(keyword): str(entry).strip() for keyword, entry in value.items() if entry not in (None, "")}


def _xml(text: str) -> list[dict[str, str | None]]:
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError(f"not XML: {error}") from error
    return [{leaf.tag: leaf.text for leaf in segment.iter() if not len(leaf)} for segment in root.findall(".//segment")]


def _kvn(text: str) -> dict[str, str | None]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("COMMENT")]
    fields: dict[str, str | None] = {}
    for line in lines:
        keyword, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"{line!r} is no 'KEYWORD = value'")
        fields[keyword.strip()] = value.partition("[")[0].strip()  # a unit may follow in brackets
    return fields
