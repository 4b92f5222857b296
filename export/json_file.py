"""JSON beside an output."""

import json
from pathlib import Path
from typing import Any

from onboard.whole_file import write_whole


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` to ``path``."""
    write_whole(path, json.dumps(content, indent=1) + "\n")
