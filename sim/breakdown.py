"""The circumstances by which a campaign is broken down, and their bins."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Breakdown:
    """title: for people, with the unit; key: of a truth record; edges: of the bins, in units of the key times
    ``scale``; the last bin holds its upper edge."""

    title: str
    key: str
    edges: tuple[float, ...]
    scale: float = 1.0

    @property
    def labels(self) -> list[str]:
        """One a bin, such as '-30 to -15'."""
        return [f"{low:g} to {high:g}" for low, high in pairwise(self.edges)]


BREAKDOWNS = {
    "latitude": Breakdown("latitude, degrees", "lat_deg", tuple(range(-90, 91, 15))),
    "cloud_cover": Breakdown("cloud cover, %", "cloud_cover", (0, 5, 10, 20, 30, 40, 50, 60, 80, 100), 100.0),
    "sun_elevation": Breakdown("Sun elevation, degrees", "sun_elevation_deg", (-90, -6, 0, 5, 10, 20, 30, 45, 60, 90)),
    "land_share": Breakdown("land in the frame, %", "land_share", (0, 5, 20, 40, 60, 80, 95, 100), 100.0),
    "off_nadir": Breakdown("off nadir, degrees", "off_nadir_deg", (0, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 180)),
}


def bin_of(value: float, breakdown: Breakdown) -> int:
    """The number of the bin that holds a value of the key; lower edges belong to the bin above."""
    inside = [edge for edge in breakdown.edges[1:-1] if value * breakdown.scale >= edge]
    return len(inside)
