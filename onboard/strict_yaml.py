"""YAML mappings read strictly: an unknown or missing key is an error that names the key and the line."""

import re
from collections.abc import Callable
from pathlib import Path
from reprlib import repr as short
from typing import Any

import yaml

from onboard.errors import NadirError


class Section:
    """One YAML mapping. Take what you know with `take`, then `done` refuses the rest.

    ``error`` is the exception class raised; its text starts with ``file:line``.
    """

    def __init__(self, node: yaml.MappingNode, source: str, error: type[NadirError], where: str = "") -> None:
        self._source, self._error, self._where = source, error, where
        self._line = node.start_mark.line + 1
        self._nodes: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.complaint(key, "a key must be a word")
            if key.value in self._nodes:
                raise self.complaint(key, f"key {key.value!r} is given twice")
            self._nodes[key.value] = (key, value)
        self._known: list[str] = []

    @classmethod
    def load(cls, path: str | Path, error: type[NadirError]) -> "Section":
        """The top mapping of a file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as cause:
            raise error(f"{path}: cannot be read ({cause})") from cause
        return cls.parse(text, str(path), error)

    @classmethod
    def parse(cls, text: str, source: str, error: type[NadirError]) -> "Section":
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, RecursionError) as cause:
            raise error(f"{source}: not YAML: {' '.join(str(cause).split())}") from cause
        if not isinstance(node, yaml.MappingNode):
            raise error(f"{source}: must be a mapping of keys to values")
        return cls(node, source, error)

    def complaint(self, node: yaml.Node | None, text: str) -> NadirError:
        line = self._line if node is None else node.start_mark.line + 1
        return self._error(f"{self._source}:{line}: {self._where}{text}")

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def take(self, key: str, convert: Callable[[Any], Any], default: Any = ...) -> Any:
        """The converted value of ``key``; what cannot be converted becomes a complaint with the line."""
        self._known.append(key)
        if key not in self._nodes:
            if default is ...:
                raise self.complaint(None, f"key {key!r} is missing")
            return default
        node = self._nodes[key][1]
        try:
            return convert(_plain(node))
        except (ValueError, TypeError, RecursionError, yaml.YAMLError) as cause:
            raise self.complaint(node, f"{key}: {' '.join(str(cause).split())}") from cause

    def section(self, key: str) -> "Section":
        """The mapping under ``key``."""
        self._known.append(key)
        if key not in self._nodes:
            raise self.complaint(None, f"key {key!r} is missing")
        node = self._nodes[key][1]
        if not isinstance(node, yaml.MappingNode):
            raise self.complaint(node, f"{key}: must be a mapping")
        return Section(node, self._source, self._error, f"{self._where}{key}: ")

    def done(self) -> None:
        """Refuse keys that nobody took."""
        for key, (node, _) in self._nodes.items():
            if key not in self._known:
                raise self.complaint(node, f"unknown key {key!r}; known here: {', '.join(self._known)}")


def _plain(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


# YAML 1.1 takes an exponent for a number's only after a dot and with a sign, and 2e-5 for text.
_EXPONENTIAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", re.ASCII)


def number(low: float, high: float) -> Callable[[Any], float]:
    """A converter to a float within bounds."""

    def convert(value: Any) -> float:
        if isinstance(value, str) and _EXPONENTIAL.fullmatch(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"must be a number, not {short(value)}")
        if not low <= value <= high:
            raise ValueError(f"{value} is outside {low:g} to {high:g}")
        return float(value)

    return convert


def span(low: float, high: float) -> Callable[[Any], tuple[float, float]]:
    """A converter to (low, high): a pair in order, or one number standing for both."""

    def convert(value: Any) -> tuple[float, float]:
        pair = value if isinstance(value, list) else [value, value]
        if len(pair) != 2:
            raise ValueError(f"must be a number or [low, high], not {short(value)}")
        first, last = number(low, high)(pair[0]), number(low, high)(pair[1])
        if first > last:
            raise ValueError(f"[{first}, {last}] is in the wrong order")
        return first, last

    return convert


def text(value: Any) -> str:
    """A converter to a non-empty string."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be text, not {short(value)}")
    return value
