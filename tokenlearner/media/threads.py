"""Work in threads: one piece of it, several side by side, or the next step's input meanwhile.

FFmpeg leaves Python's lock while it decodes, converts and encodes, so that threads use every core.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from queue import SimpleQueue
from typing import TypeVar

Result = TypeVar("Result")


def start(work: Callable[[], Result]) -> Future[Result]:
    """Begins work in a thread of its own, for which the end of the program does not wait."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # the caller's to handle, whatever it is
            future.set_exception(error)

    threading.Thread(target=run, name="clip", daemon=True).start()
    return future


def side_by_side(tasks: Sequence[Callable[[], object]]) -> None:
    """Does each task in a thread of its own, and a single one in this thread.

    The first error is raised at once, without waiting for the other tasks.
    """
    if len(tasks) == 1:
        tasks[0]()
        return
    done, _ = wait([start(task) for task in tasks], return_when=FIRST_EXCEPTION)
    for task in done:
        task.result()


def ahead(items: Iterator[Result], depth: int) -> Generator[Result, None, None]:
    """Yields what `items` yields, and makes the next ones meanwhile in a thread of its own.

    Args:
        items: Asked for no more than one further item once the generator is closed.
        depth: How many items may be ready and wait.
    """
    ready: SimpleQueue[tuple[Result] | None] = SimpleQueue()
    room = threading.Semaphore(depth)
    is_closed = threading.Event()

    def make() -> None:
        try:
            for item in items:
                room.acquire()
                if is_closed.is_set():
                    return
                ready.put((item,))
        finally:
            ready.put(None)

    making = start(make)
    try:
        while boxed := ready.get():
            room.release()
            yield boxed[0]
        making.result()
    finally:
        is_closed.set()
        room.release()
