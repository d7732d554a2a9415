"""Work in threads: in time, several pieces side by side, or the next step's input meanwhile.

FFmpeg leaves Python's lock while it decodes, converts and encodes, so that threads use every core.
A future that holds an error is dropped before the error is raised: they would keep each other, and
all that the work had in memory, until the garbage collector comes round.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from queue import Empty, SimpleQueue
from typing import TypeVar

from tokenlearner.media.deadline import Deadline

Result = TypeVar("Result")


def start(work: Callable[[], Result]) -> Future[Result]:
    """Begins work in a thread of its own, for which the end of the program does not wait."""
    future: Future[Result] = Future()
    threading.Thread(target=_run, args=(future, work), name="clip", daemon=True).start()
    return future


def _run(future: Future[Result], work: Callable[[], Result]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # the caller's to handle, whatever it is
        future.set_exception(error)
        del future


def within(limit: float | Deadline, work: Callable[[Deadline], Result]) -> Result:
    """Returns what `work` returns, or raises what it raises; waits for it so long and no longer.

    The work is done in a thread of its own, so the caller goes on in time even if a decoder hangs.
    Threads cannot be ended from outside: `work` calls `Deadline.check` at every step, so that
    what was given up stops at its next step and frees what it holds.

    Args:
        limit: Seconds from now on, or a deadline that says more than that when it is missed.
        work: What to do until then.

    Raises:
        MediaTimeoutError: It was not done in time.
    """
    deadline = limit if isinstance(limit, Deadline) else Deadline(limit)
    future = start(lambda: work(deadline))
    try:
        return future.result(timeout=deadline.left_s)
    except TimeoutError:
        if future.done():  # just in time, or the error is the work's own
            return future.result()
        raise deadline.missed() from None
    finally:
        deadline.expire()  # also when the caller is interrupted
        del future


def side_by_side(tasks: Sequence[Callable[[], object]]) -> None:
    """Does each task in a thread of its own, and a single one in this thread.

    The first error is raised at once, without waiting for the other tasks.
    """
    if len(tasks) == 1:
        tasks[0]()
        return
    futures = [start(task) for task in tasks]
    wait(futures, return_when=FIRST_EXCEPTION)
    errors = [future.exception() for future in futures if future.done()]
    del futures
    error = next(filter(None, errors), None)
    del errors
    if error is not None:
        try:
            raise error
        finally:
            del error


def ahead(items: Iterator[Result], depth: int, deadline: Deadline) -> Generator[Result, None, None]:
    """Yields what `items` yields, and makes the next ones meanwhile in a thread of its own.

    Args:
        items: Asked for no more than one further item once the generator is closed.
        depth: How many items may be ready and wait.
        deadline: For each item, from when it is asked for; renewed by this.

    Raises:
        MediaTimeoutError: An item was not made in time.
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
                deadline.renew()  # waiting for room took its own time
        finally:
            ready.put(None)

    making = start(make)
    try:
        while True:
            deadline.renew()  # what was done with the item before took its own time
            try:
                boxed = ready.get(timeout=deadline.left_s)
            except Empty:
                raise deadline.missed() from None
            if boxed is None:
                break
            room.release()
            yield boxed[0]
        making.result()
    finally:
        is_closed.set()
        deadline.expire()
        room.release()
        del making
