"""A plain TCP balancer: each connection goes to the next replica that takes it, byte by byte."""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

CHUNK = 65_536


class Balancer:
    """Listens on a free port, in a thread of its own. replicas: ports of this machine; may be changed meanwhile.

    open: how many connections each of them has now.
    """

    def __init__(self, replicas: Sequence[int]) -> None:
        self.replicas = list(replicas)
        self.open = Counter[int]()
        self.port = 0
        self._turn = count()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(_end(asyncio.all_tasks(self._loop)))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, replicas = next(self._turn), list(self.replicas)
        for at in range(len(replicas)):
            with suppress(OSError):
                port = replicas[(first + at) % len(replicas)]
                upstream, downstream = await asyncio.open_connection("127.0.0.1", port)
                self.open[port] += 1
                await asyncio.gather(_pipe(reader, downstream), _pipe(upstream, writer))
                self.open[port] -= 1
                return
        writer.close()


async def _end(tasks: "set[asyncio.Task[object]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Carry on until one end hangs up."""
    try:
        while data := await source.read(CHUNK):
            target.write(data)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()
