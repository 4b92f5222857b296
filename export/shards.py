"""Shards of training data, made once and read often: resumable, each file whole or not there."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np

from export.json_file import write_json
from export.keypoint_pairs import PatchPairs
from export.training_looks import Earths, LookSettings
from export.views import Views
from onboard.errors import NadirError
from onboard.whole_file import whole, write_whole

TRAINING, HELD_OUT = "shard", "held-out"  # places in the regions never trained on (export/regions.py) go apart


class ShardError(NadirError):
    """A folder of shards that is missing, damaged or another one's."""


Kind = TypeVar("Kind", PatchPairs, Views)
_VERBS = {PatchPairs: "pairs", Views: "views"}  # of ``nadir export``, which also say what they make
# Makes the parts of some places, each with whether it is held out; told how to show places and items done.
Make = Callable[[range, Callable[[int, int], None]], list[tuple[bool, Kind]]]


def write_shards(
    earths: Earths,
    settings: LookSettings,
    out: Path,
    make: Make[Kind],
    progress: Callable[[int, int, int], None],
) -> None:
    """Have parts made and store them; finished shards in ``out`` are kept. ``progress``: places done, all, items.

    Shards are shard-K.npz and held-out-K.npz. Raises ShardError when the folder holds some made with other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    claim = {"settings": json.loads(json.dumps(asdict(settings)))}
    claim |= {name: [path.name for path in paths] for name, paths in earths._asdict().items()}
    record = out / "settings.json"
    if record.exists() and json.loads(record.read_text()) != claim:
        raise ShardError(f"{out}: holds what was made with other settings; name another --out or remove it")
    write_json(record, claim)
    items: int = 0
    for shard, first in enumerate(range(0, settings.places, settings.places_a_shard)):
        places = range(first, min(first + settings.places_a_shard, settings.places))
        done = out / f"shard-{shard}.done"
        if not done.exists():

            def show(place: int, new: int, before: int = items) -> None:
                progress(place, settings.places, before + new)

            found = make(places, show)
            for name, held in ((TRAINING, False), (HELD_OUT, True)):
                chosen = [part for was_held, part in found if was_held == held]
                if chosen:
                    _save(type(chosen[0]).concatenate(chosen), out / f"{name}-{shard}.npz")
            write_whole(done, str(sum(len(part) for _, part in found)))
        items += _items(done)
        progress(places[-1] + 1, settings.places, items)


def read_shards(folders: Sequence[Path], name: str, kind: type[Kind]) -> Kind:
    """All shards of a name, TRAINING or HELD_OUT, in folders. Raises ShardError when one has none."""
    return kind.concatenate([part for folder in folders for part in _parts(folder, name, kind)])


def digest(data: PatchPairs | Views) -> str:
    """SHA-256 of all that is in them, in its order: what a training on them is known by."""
    hasher = hashlib.sha256()
    for name in data.__dataclass_fields__:
        hasher.update(np.ascontiguousarray(getattr(data, name)).data)
    return hasher.hexdigest()


def _items(done: Path) -> int:
    """How many items a shard holds, as its .done says."""
    try:
        return int(done.read_text())
    except ValueError as error:
        raise ShardError(f"{done}: damaged ({error}); remove it and rerun, so that its shard is made anew") from error


def _parts(folder: Path, name: str, kind: type[Kind]) -> list[Kind]:
    parts = []
    for path in sorted(folder.glob(f"{name}-*.npz")):
        try:
            with np.load(path) as data:
                parts.append(kind(**{field: data[field] for field in kind.__dataclass_fields__}))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ShardError(
                f"{path}: damaged ({error}); remove it and its .done and rerun 'nadir export {_VERBS[kind]}'"
            ) from error
    if not parts:
        more = "; few places have none: ask for more --places" if name == HELD_OUT else ""
        raise ShardError(
            f"{folder}: holds no {name} {_VERBS[kind]}; make them with 'nadir export {_VERBS[kind]}'{more}"
        )
    return parts


def _save(part: PatchPairs | Views, path: Path) -> None:
    with whole(path) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, **{name: getattr(part, name) for name in part.__dataclass_fields__})
