"""Who does the work: processes of this machine, or a Dask cluster. Both give results as they come."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar

from onboard.worker import end_with_parent
from sim.errors import SimError

CONNECT_S = 20.0  # how long a Dask scheduler may take to answer

Job = TypeVar("Job")
Result = TypeVar("Result")


class Crew(Protocol):
    """``work``: results of ``function(job)`` in any order, jobs drawn as hands come free; an exception of the function
    is raised here. Function, jobs and results travel by pickle."""

    def work(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]: ...


@dataclass(frozen=True)
class LocalCrew:
    """Processes of this machine, ``workers`` of them (None: one a core)."""

    workers: int | None = None

    def work(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        workers = self.workers or os.cpu_count() or 1
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, context, initializer=_start_worker)
        try:
            yield from _as_they_come(pool, function, jobs, workers)
        except BrokenProcessPool as error:
            raise SimError(
                "a worker process died (out of memory?); what is done is kept: run the same command again, with fewer "
                "--workers"
            ) from error
        except BaseException:  # a job failed, or nobody wants the rest: half a job is not waited for, it may take hours
            for process in list(pool._processes.values()):
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class DaskCrew:
    """Workers of a Dask cluster. They need nadir installed, and mosaic and pack under the same paths."""

    address: str

    def work(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        from distributed import Client, KilledWorker
        from distributed.comm import CommClosedError

        try:
            client = Client(self.address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise SimError(f"--scheduler {self.address}: no Dask scheduler answers there ({error})") from error
        with client:
            threads = client.nthreads()
            if not threads:
                raise SimError(f"--scheduler {self.address}: the cluster has no workers; start 'dask worker' processes")
            if max(threads.values()) > 1:
                print("hint: a Dask worker makes one frame at a time: --nworkers auto --nthreads 1", file=sys.stderr)
            try:
                with _dask_executor(client) as executor:
                    yield from _as_they_come(executor, function, jobs, len(threads))
            except (KilledWorker, CancelledError, CommClosedError) as error:
                raise SimError(
                    f"--scheduler {self.address}: workers or scheduler were lost ({error}); what is done is kept: "
                    "run the same command again"
                ) from error


@contextmanager
def _dask_executor(client: Any) -> Iterator[Executor]:
    executor = client.get_executor(pure=False)
    try:
        yield executor
    finally:
        executor.shutdown(wait=False)


def _as_they_come(
    executor: Executor, function: Callable[[Job], Result], jobs: Iterable[Job], hands: int
) -> Iterator[Result]:
    """Results in order of completion; one job more than there are hands is under way, so that none waits. A failure is
    raised when all that is done has been given."""
    queue = iter(jobs)
    running = {executor.submit(function, job) for job in islice(queue, hands + 1)}
    try:
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            failed = [future for future in done if not _succeeded(future)]
            if failed:
                done |= {future for future in running if future.done()}
            else:
                running |= {executor.submit(function, job) for job in islice(queue, len(done))}
            for future in done:
                if _succeeded(future):
                    yield future.result()
            for future in failed:
                future.result()
    finally:
        for future in running:
            future.cancel()


def _succeeded(future: "Future[Any]") -> bool:
    return not future.cancelled() and future.exception() is None


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which then ends the workers
    end_with_parent()
