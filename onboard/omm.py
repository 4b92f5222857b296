"""CCSDS orbit mean-elements messages (OMM, CCSDS 502.0) read as plain keywords and values.

Their meaning is the ground's business; the mission file carries them along.
"""

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NEEDED = ("EPOCH", "MEAN_MOTION", "ECCENTRICITY", "INCLINATION", "RA_OF_ASC_NODE", "ARG_OF_PERICENTER", "MEAN_ANOMALY")


def load_omm(path: Path) -> dict[str, str]:
    """The keywords and values of the one satellite in an OMM: XML, JSON, CSV, or KVN (KEYWORD = value).

    Raises ValueError saying what is wrong; OSError from the file.
    """
    text = path.read_text(encoding="utf-8-sig").strip()
    lines = _telling(text)
    if text.startswith("<"):
        messages = _xml(text)
    elif text.startswith(("{", "[")):
        plain = json.loads(text, object_pairs_hook=_once)
        messages = plain if isinstance(plain, list) else [plain]
    elif lines and "=" in lines[0]:
        messages = [_kvn(lines)]
    else:
        messages = list(csv.DictReader(lines))
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


def _telling(text: str) -> list[str]:
    """The lines that are neither blank nor a comment."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("COMMENT")]


def _kvn(lines: Iterable[str]) -> dict[str, str | None]:
    pairs = []
    for line in lines:
        keyword, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"{line!r} is no 'KEYWORD = value'")
        pairs.append((keyword.strip(), value.partition("[")[0].strip()))  # a unit may follow in brackets
    return _once(pairs)


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for keyword, value in pairs:
        if keyword in fields:
            raise ValueError(f"{keyword} is there twice; keep one message, of the satellite that flies")
        fields[keyword] = value
    return fields
