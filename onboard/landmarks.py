"""The landmark catalogue: places with an orientation and a product-quantized descriptor, searched by faiss.

Landmarks are stored list by list of a coarse quantizer, so that a landmark's number is its position and no ids are
stored. Codes are 4-bit product codes of whole descriptors (FastScan: Andre, Kermarrec and Le Scouarnec, 2015).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from onboard.errors import PackError
from onboard.geodesy import unit_from_latlon

_LEVELS = 65535.0
# As stored: the kind of number and how many axes.
_STORED = {
    "lat": (np.uint16, 1), "lon": (np.uint16, 1), "angle": (np.uint8, 1), "scale": (np.uint8, 1),
    "codes": (np.uint8, 2), "list_sizes": (np.uint32, 1), "coarse": (np.float16, 2), "codebook": (np.float16, 3),
}  # fmt: skip
# A step of the stored scale, SIFT's own sampling of scale space being 2^(1/3).
_SCALE_STEP = float(np.log(2) / 16)  # a NumPy scalar would make float64 of all sizes


@dataclass(frozen=True, eq=False)
class Catalogue:
    """N landmarks, ordered by inverted list.

    lat_deg, lon_deg float32 (N,); angle_deg float32 (N,), keypoint orientation clockwise from east as on a map;
    scale_px float32 (N,) at the catalogue's GSD; unit (N, 3) float32, direction from the Earth's centre with
    latitude at face value; codes uint8 (N, M / 2), two 4-bit codes a byte; list_sizes (L,); coarse (L, D);
    codebook (M, 16, D / M).
    """

    lat_deg: NDArray[np.float32]
    lon_deg: NDArray[np.float32]
    angle_deg: NDArray[np.float32]
    scale_px: NDArray[np.float32]
    unit: NDArray[np.float32]
    codes: NDArray[np.uint8]
    list_sizes: NDArray[np.uint32]
    coarse: NDArray[np.float32]
    codebook: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.lat_deg)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], band_deg: tuple[float, float]) -> "Catalogue":
        """From what a pack holds. Raises PackError when the arrays are of another kind or do not fit one another."""
        for name, (kind, axes) in _STORED.items():
            if arrays[name].dtype != kind or arrays[name].ndim != axes:
                found = f"{arrays[name].dtype} with {arrays[name].ndim} axes"
                raise PackError(f"landmarks_{name} is {found}, not {np.dtype(kind)} with {axes}; rebuild the pack")
        south, north = band_deg
        lat = (south + arrays["lat"].astype(np.float64) / _LEVELS * (north - south)).astype(np.float32)
        lon = (arrays["lon"].astype(np.float64) / (_LEVELS + 1) * 360.0 - 180.0).astype(np.float32)
        catalogue = cls(
            lat,
            lon,
            arrays["angle"].astype(np.float32) * (360 / 256),
            np.exp(arrays["scale"].astype(np.float32) * _SCALE_STEP),
            unit_from_latlon(lat, lon).astype(np.float32),
            arrays["codes"],
            arrays["list_sizes"],
            arrays["coarse"].astype(np.float32),
            arrays["codebook"].astype(np.float32),
        )
        count = len(lat)
        fits = (
            all(len(arrays[name]) == count for name in ("lon", "angle", "scale", "codes"))
            and int(catalogue.list_sizes.sum()) == count
            and len(catalogue.coarse) == len(catalogue.list_sizes)
            and catalogue.codebook.shape[:2] == (2 * catalogue.codes.shape[1], 16)
            and catalogue.codebook.shape[0] * catalogue.codebook.shape[2] == catalogue.coarse.shape[1]
        )
        if not fits or not catalogue.coarse.size or count == 0:
            raise PackError("the landmark arrays do not fit one another; rebuild the pack")
        if not (np.isfinite(catalogue.coarse).all() and np.isfinite(catalogue.codebook).all()):
            raise PackError("the landmarks' centroids are not finite; rebuild the pack")
        return catalogue

    def decode(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Descriptors (K, D) of landmarks, as well as their codes remember them."""
        # A byte of a code stands for two products: looked up at once.
        byte = np.arange(256)
        both = np.concatenate([self.codebook[::2, byte & 15], self.codebook[1::2, byte >> 4]], axis=2)
        at = self.codes[numbers] + 256 * np.arange(len(both))
        return both.reshape(-1, both.shape[2]).take(at, axis=0).reshape(len(numbers), self.coarse.shape[1])


def to_arrays(
    lat_deg: NDArray, lon_deg: NDArray, angle_deg: NDArray, scale_px: NDArray, band_deg: tuple[float, float]
) -> dict[str, NDArray]:
    """Places and orientations as stored: 16 bits for each coordinate, 8 for angle and scale.

    Rounding moves a landmark of a 112 degree band by at most 95 m in latitude and 306 m in longitude.
    """
    south, north = band_deg
    return {
        "lat": np.round((lat_deg - south) / (north - south) * _LEVELS).astype(np.uint16),
        "lon": (np.round((lon_deg + 180.0) / 360.0 * (_LEVELS + 1)) % (_LEVELS + 1)).astype(np.uint16),
        "angle": (np.round(angle_deg * (256 / 360)) % 256).astype(np.uint8),
        "scale": np.clip(np.round(np.log(scale_px) / _SCALE_STEP), 0, 255).astype(np.uint8),
    }


def search_index(catalogue: Catalogue, probes: int) -> faiss.IndexIVFPQFastScan:
    """A faiss index over the catalogue; a result's id is the landmark's number."""
    lists, dimension = catalogue.coarse.shape
    coarse = faiss.IndexFlatL2(dimension)
    coarse.add(np.ascontiguousarray(catalogue.coarse))
    plain = faiss.IndexIVFPQ(coarse, dimension, lists, catalogue.codebook.shape[0], 4)
    plain.by_residual = False
    faiss.copy_array_to_vector(np.ascontiguousarray(catalogue.codebook).ravel(), plain.pq.centroids)
    plain.is_trained = True
    starts = np.concatenate([[0], np.cumsum(catalogue.list_sizes, dtype=np.int64)])
    ids = np.arange(len(catalogue), dtype=np.int64)
    codes = np.ascontiguousarray(catalogue.codes)
    lists_of_codes: Any = plain.invlists
    for number, (start, stop) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist())):
        if stop > start:
            lists_of_codes.add_entries(
                number, stop - start, faiss.swig_ptr(ids[start:stop]), faiss.swig_ptr(codes[start:stop])
            )
    plain.ntotal = len(catalogue)
    fast = faiss.IndexIVFPQFastScan(plain)
    fast.own_fields = False
    fast.nprobe = min(probes, lists)
    # The fast index borrows the coarse quantizer; keep it alive as long as the index.
    fast.referenced_objects = [coarse]  # type: ignore[attr-defined]
    return fast


def local_index(catalogue: Catalogue, numbers: NDArray[np.int64]) -> faiss.IndexPQFastScan:
    """A faiss index over some of the landmarks (K,), all of which it looks at; a result's id is a place among them."""
    plain = faiss.IndexPQ(catalogue.coarse.shape[1], catalogue.codebook.shape[0], 4)
    faiss.copy_array_to_vector(np.ascontiguousarray(catalogue.codebook).ravel(), plain.pq.centroids)
    plain.is_trained = True
    faiss.copy_array_to_vector(catalogue.codes[numbers].ravel(), plain.codes)
    plain.ntotal = len(numbers)
    return faiss.IndexPQFastScan(plain)  # type: ignore[arg-type]


def index_arrays(index: faiss.IndexIVFPQFastScan) -> dict[str, NDArray]:
    """The memory in which faiss keeps the catalogue, as views: codes and ids of each list, centroids."""

    def view(pointer: Any, count: int) -> NDArray:
        return np.asarray(faiss.rev_swig_ptr(pointer, count))

    coarse: Any = faiss.downcast_index(index.quantizer)
    lists: Any = faiss.downcast_InvertedLists(index.invlists)  # type: ignore[arg-type]
    arrays = {
        "faiss coarse centroids": view(coarse.get_xb(), coarse.ntotal * coarse.d),
        "faiss product centroids": view(index.pq.centroids.data(), index.pq.centroids.size()),
    }
    for number in range(index.nlist):
        size = lists.list_size(number)
        if size:
            # FastScan packs the codes of 32 landmarks together; the last block is filled up.
            packed = -(-size // lists.n_per_block) * lists.block_size
            arrays[f"faiss list {number} codes"] = view(lists.get_codes(number), packed)
            arrays[f"faiss list {number} ids"] = view(lists.get_ids(number), size)
    return arrays
