"""How hard to look: the settings of the search, chosen by the builder and carried by the pack."""

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
    def from_plain(cls, plain: dict[str, Any]) -> "Search":
        try:
            return cls(**{name: type(getattr(cls, name))(value) for name, value in plain.items()})
        except (AttributeError, TypeError, ValueError) as error:
            raise PackError(f"the manifest's search settings are malformed ({error}); rebuild the pack") from error
