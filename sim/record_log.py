"""JSON lines that survive a kill: appended record by record, put in order and renamed when whole."""

import json
from pathlib import Path
from typing import Any

from onboard.whole_file import write_whole

Record = dict[str, Any]


class RecordLog:
    """Records keyed by their ``index``. While incomplete they live in ``<name>.partial``; a line cut off by a kill is
    dropped on reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = path.with_name(path.name + ".partial")
        self.records: dict[int, Record] = {}
        for source in (self._partial, path):
            if source.exists():
                self.records |= {record["index"]: record for record in _read(source)}

    def append(self, record: Record) -> None:
        """Add a record, on disk when this returns."""
        new = not self._partial.exists()
        with self._partial.open("a", encoding="utf-8") as stream:
            if new:
                stream.writelines(_line(old) for old in self.records.values())
            elif not _ends_with_newline(self._partial):
                stream.write("\n")
            stream.write(_line(record))
        self.records[record["index"]] = record

    def finish(self) -> list[Record]:
        """All records in order of index, written under the final name."""
        ordered = [self.records[index] for index in sorted(self.records)]
        write_whole(self.path, "".join(map(_line, ordered)))
        self._partial.unlink(missing_ok=True)
        return ordered


def _line(record: Record) -> str:
    return json.dumps(record, allow_nan=False) + "\n"


def _read(path: Path) -> list[Record]:
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and "index" in record:
            records.append(record)
    return records


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(0, 2)
        if stream.tell() == 0:
            return True
        stream.seek(-1, 2)
        return stream.read(1) == b"\n"
