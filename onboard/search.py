"""How hard to look: the settings of the search, chosen by the builder and carried by the pack."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onboard.errors import PackError


@dataclass(frozen=True)
class Search:
    """How hard to look; chosen by the builder and carried by the pack.

    features: keypoints used of a frame; directions: in which each is described, at most; neighbours and probes: of each
    look-up; matches: of what it finds, the likeliest that vote; candidates: places verified at most; bin_m: what is
    nearer to one another is one place; scale_ratio: by which two keypoints' sizes may differ.
    """

    features: int = 3000
    directions: int = 2
    neighbours: int = 20
    probes: int = 16
    matches: int = 20_000
    candidates: int = 8
    bin_m: float = 25e3
    scale_ratio: float = 1.35

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Search":
        """Raises PackError when the manifest's entry is malformed or asks for what no search can do."""
        try:
            search = cls(**{name: type(getattr(cls, name))(value) for name, value in plain.items()})
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise PackError(f"the manifest's search settings are malformed ({error}); rebuild the pack") from error
        for name, (low, high) in _BOUNDS.items():
            if not low <= getattr(search, name) <= high:
                raise PackError(f"the manifest's search setting {name} is not {low:g} to {high:g}; rebuild the pack")
        return search


_BOUNDS = {
    "features": (1, 100_000), "directions": (1, 36), "neighbours": (1, 1000), "probes": (1, 1 << 20),
    "matches": (1, 10_000_000), "candidates": (1, 1000), "bin_m": (1.0, 5e6), "scale_ratio": (1.0, 10.0),
}  # fmt: skip
