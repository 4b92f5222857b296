"""Verbs and services looked up by name, so that no package imports a sibling.

Entry-point groups: ``nadir.verbs`` (functions that add a sub-command) and ``nadir.services`` (classes one
ground package offers the others: ``mosaic`` is how the simulator reads the rasters of the index builder).
"""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from onboard.errors import MissingPackageError


def verbs() -> Iterator[EntryPoint]:
    """The installed verbs, in order of name."""
    yield from sorted(entry_points(group="nadir.verbs"), key=lambda entry: entry.name)


def service(name: str) -> Any:
    """The object registered under ``name``; MissingPackageError when its package is not installed."""
    for entry in entry_points(group="nadir.services", name=name):
        try:
            return entry.load()
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"the service {name!r} needs the package {error.name!r}: pip install '.[ground]'"
            ) from error
    raise MissingPackageError(f"no package offers the service {name!r}: reinstall nadir (pip install -e .)")
