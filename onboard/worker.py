"""A worker process that ends with its parent, which may be killed: left alone it would wait for jobs for ever."""

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """To be called in a worker as it starts. Nothing happens in a process that has no parent."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
