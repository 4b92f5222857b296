"""Work on all cores of this machine: results as they come, and a plain word when a worker dies."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from onboard.errors import NadirError
from onboard.worker import end_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")


class WorkerError(NadirError):
    """A worker process died."""


def on_all_cores(
    function: Callable[[Job], Result], jobs: Iterable[Job], start: Callable[..., None], *given: Any
) -> Iterator[Result]:
    """Results of ``function(job)`` in any order; every worker begins with ``start(*given)``. An exception of the
    function is raised here, WorkerError when a worker dies."""
    # Forked workers would inherit faiss's and OpenCV's thread pools in an unknown state.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(os.cpu_count(), context, _begin, (start, given))
    try:
        for done in as_completed([pool.submit(function, job) for job in jobs]):
            yield done.result()
    except BrokenProcessPool as error:
        raise WorkerError(
            "a worker process died (out of memory?); what is done is kept: run the same command again"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(start: Callable[..., None], given: tuple[Any, ...]) -> None:
    end_with_parent()
    start(*given)
