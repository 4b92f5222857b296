"""Who does the work: all cores of this machine, or a Dask cluster. Results as they come, and a plain word when a
worker dies."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from onboard.errors import NadirError
from onboard.worker import end_with_parent

CONNECT_S = 20.0  # how long a Dask scheduler may take to answer

Job = TypeVar("Job")
Result = TypeVar("Result")


class WorkerError(NadirError):
    """A worker process died, or no worker is to be had."""


class Crew(Protocol):
    """Results of ``function(job)`` in any order; every worker begins with ``start(*given)``. An exception of the
    function is raised here, WorkerError when a worker dies. All of them travel by pickle."""

    def __call__(
        self, function: Callable[[Job], Result], jobs: Iterable[Job], start: Callable[..., None], *given: Any
    ) -> Iterator[Result]: ...


def on_all_cores(
    function: Callable[[Job], Result], jobs: Iterable[Job], start: Callable[..., None], *given: Any
) -> Iterator[Result]:
    """A `Crew` of processes of this machine, one a core."""
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


@dataclass(frozen=True)
class OnCluster:
    """A `Crew` of a Dask cluster's workers. They need nadir installed, one thread each, and all files under the same
    paths."""

    address: str

    def __call__(
        self, function: Callable[[Job], Result], jobs: Iterable[Job], start: Callable[..., None], *given: Any
    ) -> Iterator[Result]:
        from distributed import CancelledError, Client, KilledWorker, WorkerPlugin
        from distributed import as_completed as as_they_come
        from distributed.comm import CommClosedError

        class Begin(WorkerPlugin):  # for workers that join later, too
            def setup(self, worker: Any) -> None:
                start(*given)

        try:
            client = Client(self.address, timeout=CONNECT_S)
        except (OSError, ValueError, TimeoutError) as error:
            raise WorkerError(f"--scheduler {self.address}: no Dask scheduler answers there ({error})") from error
        with client:
            if set(client.nthreads().values()) != {1}:
                raise WorkerError(
                    f"--scheduler {self.address}: needs workers of one thread each: "
                    f"start 'dask worker {self.address} --nworkers auto --nthreads 1'"
                )
            try:
                client.register_plugin(Begin(), name="nadir")
                futures = client.map(function, list(jobs), pure=False)
                for _, result in as_they_come(futures, with_results=True):
                    yield result
            except (KilledWorker, CancelledError, CommClosedError) as error:
                raise WorkerError(
                    f"--scheduler {self.address}: workers or scheduler were lost ({error}); what is done is kept: "
                    "run the same command again"
                ) from error
