# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy on loopback that counts connections and makes the way to a server as long as one likes.

It stands for a network with a round trip time R. Bytes take R/2 in each direction, and more of them may be under way
at once: the delay limits no throughput. A connect to the proxy costs nothing, where a real one takes R; so until the
client has heard from the server, everything that it sends is late by R more. What the server says first, a greeting,
comes 2 R after the connect, as on a real network. A loss, and the slow start of TCP (10 segments fit the first
window), are not imitated.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass

_FIRST_BYTES = 4096


@dataclass
class Connection:
    """What was seen of one connection; times are of :func:`time.monotonic`.

    ``answered`` is when the client got its first bytes, ``ended`` when it closed or was told that the server had:
    ``None`` as long as that has not happened. ``sent`` is the beginning of what the client said.
    """

    opened: float
    answered: float | None = None
    ended: float | None = None
    sent: bytes = b""


class _Pipe:
    """One direction of a connection, and the bytes that are under way in it."""

    def __init__(self, sink: asyncio.StreamWriter) -> None:
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._sink = sink
        self._last = 0.0

    def put(self, data: bytes, due: float) -> None:
        """Deliver bytes at a moment of the loop's clock, never before what was put earlier; no bytes are the end."""
        self._last = max(self._last, due)
        self._loop.call_at(self._last, self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        if data and not self._sink.is_closing():
            self._sink.write(data)
        elif not data:
            self.ended.set()


class Proxy:
    """A proxy in front of ``port`` on 127.0.0.1, with an event loop in a thread of its own."""

    def __init__(self, port: int, round_trip_seconds: float = 0.0) -> None:
        """Listen on a port of its own from now on."""
        self.connections: list[Connection] = []
        self.port = 0
        self._server_port = port
        self._round_trip = round_trip_seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listener = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        self.port = int(listener.sockets[0].getsockname()[1])
        return listener

    def close(self) -> None:
        """Listen no more, and break what is still connected."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        self._listener.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __enter__(self) -> Proxy:
        """Use it as a context."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(time.monotonic())
        self.connections.append(connection)
        server = asyncio.create_task(self._connect(connection))
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(self._from_client(reader, server, connection))]
        sides = [writer]
        try:
            server_reader, server_writer = await server
            sides.append(server_writer)
            tasks.append(asyncio.create_task(self._from_server(server_reader, _Pipe(writer), connection)))
            # A client that has closed wants nothing more, so either end is the end of both.
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            writer.transport.abort()
        finally:
            for task in tasks:
                task.cancel()
            connection.ended = connection.ended or time.monotonic()
            for side in sides:
                side.close()

    async def _connect(self, connection: Connection) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # The third segment of TCP's handshake reaches a server one and a half round trips after the first left.
        await asyncio.sleep(connection.opened + 1.5 * self._round_trip - time.monotonic())
        return await asyncio.open_connection("127.0.0.1", self._server_port)

    async def _from_client(
        self,
        reader: asyncio.StreamReader,
        server: asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]],
        connection: Connection,
    ) -> None:
        """Pass on what the client says; what it says early waits for the connection to the server."""
        pipe = None
        while True:
            data = await _read(reader)
            now = time.monotonic()
            if data:
                connection.sent += data[: _FIRST_BYTES - len(connection.sent)]
            else:
                connection.ended = now
            delay = self._round_trip * (1.5 if connection.answered is None else 0.5)
            if pipe is None:
                pipe = _Pipe((await asyncio.shield(server))[1])
            pipe.put(data, now + delay)
            if not data:
                await pipe.ended.wait()
                return

    async def _from_server(self, reader: asyncio.StreamReader, pipe: _Pipe, connection: Connection) -> None:
        while True:
            data = await _read(reader)
            due = time.monotonic() + self._round_trip / 2
            if data and connection.answered is None:
                asyncio.get_running_loop().call_at(due, _note_answer, connection)
            pipe.put(data, due)
            if not data:
                await pipe.ended.wait()
                return


def _note_answer(connection: Connection) -> None:
    connection.answered = connection.answered or time.monotonic()


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65536)
    except OSError:
        return b""
