"""Pictures of a pass and when they were taken: a CSV file with the columns ``file`` and ``time_utc``."""

import csv
from dataclasses import dataclass
from pathlib import Path

from onboard.errors import ImageError
from onboard.utc import nanoseconds, utc_time

COLUMNS = ("file", "time_utc")
TABLE = "frames.csv"  # of a folder


@dataclass(frozen=True)
class TimedImage:
    """path: of the picture; time_utc: as the list has it; timestamp_ns: the same, nanoseconds since 1970."""

    path: Path
    time_utc: str
    timestamp_ns: int


def read_frame_list(table: Path) -> list[TimedImage]:
    """The pictures of a list, or of the TABLE in a folder, in order of time; files are named from its own folder, other
    columns passed over. Raises ImageError naming the line that is wrong."""
    table = table / TABLE if table.is_dir() else table
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ImageError(f"{table}: cannot be read as a list of pictures ({error})") from error
    if not rows:
        raise ImageError(f"{table}: lists no picture; it needs the columns {', '.join(COLUMNS)} and a line a picture")
    if missing := [name for name in COLUMNS if name not in rows[0][1]]:
        raise ImageError(f"{table}: has no column {', '.join(missing)}; its first line must name {', '.join(COLUMNS)}")
    images: dict[int, TimedImage] = {}
    for line, row in rows:
        name, stamp = (row[column] or "" for column in COLUMNS)
        if not name:
            raise ImageError(f"{table}, line {line}: names no file")
        try:
            timestamp_ns = nanoseconds(utc_time(stamp))
        except ValueError as error:
            raise ImageError(f"{table}, line {line}: time_utc {error}") from error
        if (other := images.get(timestamp_ns)) is not None:
            raise ImageError(f"{table}, line {line}: {name} has the time of {other.path.name}; one camera takes one")
        images[timestamp_ns] = TimedImage(table.parent / name, stamp, timestamp_ns)
    return [images[timestamp_ns] for timestamp_ns in sorted(images)]
