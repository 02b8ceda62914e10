"""A key server in a thread of its own, for tests that call blocking programs."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from strongroom.kes import app
from strongroom.kes.domain.settings import Settings
from strongroom.observe.log import OFF, Log


@contextmanager
def running(settings: Settings) -> Iterator[app.App]:
    """Run a server; its App belongs to the thread's loop, `port` may be read from anywhere."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        made = asyncio.run_coroutine_threadsafe(app.start(settings, log=Log(OFF + 1)), loop).result(20)
        try:
            yield made
        finally:
            asyncio.run_coroutine_threadsafe(made.stop(0), loop).result(20)
    finally:
        asyncio.run_coroutine_threadsafe(_end_all(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end_all() -> None:
    """End what a failed start may have left, so that no task is destroyed with the loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
