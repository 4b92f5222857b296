"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to. What is there when the block ends well gets the name ``path``; when it does
    not, nothing is left. A link stays, what it leads to is written. What is no regular file (a pipe, /dev/stdout) is
    written to as it is: a file in its place would be another thing.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    target = Path(os.path.realpath(path))
    part = target.with_name(target.name + ".part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file's content, text as UTF-8. Raises OSError naming the file."""
    with whole(path) as part:
        try:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
        except OSError as error:  # of a full disk it does not say where
            error.filename = str(path)
            raise
