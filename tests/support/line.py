"""A line between two ports of loopback, in a process of its own: what passes can be held, slowed, and cut.

    line = Line(to=port).start()
    line.hold(); line.flow()       # a black hole, until what it holds goes on
    line.slow(0.2)                 # seconds, for each piece
    line.cut(); line.mend()        # resets every connection, and new ones until mended
    line.cut_after(1000)           # resets them once so many more bytes have passed

It knows no protocol. `tests.support.wire` knows MongoDB's, and refuses single commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import sys
from collections.abc import Callable

from tests.support.ports import free_port
from tests.support.server import ROOT

PIECE = 65536  # bytes
NO_LINGER = struct.pack("ii", 1, 0)  # a close is a reset


class Line:
    """Commands return when they hold."""

    def __init__(self, to: int) -> None:
        self.port, self._to = free_port(), to
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Line:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.line", str(self.port), str(self._to)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answered()
        return self

    def hold(self) -> None:
        self._say("hold")

    def flow(self) -> None:
        """Nothing is held or slow any more."""
        self._say("flow")

    def slow(self, seconds: float) -> None:
        self._say("slow", seconds)

    def cut(self) -> None:
        self._say("cut")

    def mend(self) -> None:
        self._say("mend")

    def cut_after(self, count: int) -> None:
        self._say("cut_after", count)

    def end(self) -> None:
        if self._process is not None:
            with self._process:  # whose end of input is its end
                assert self._process.stdin is not None
                self._process.stdin.close()

    def _say(self, *words: object) -> None:
        assert self._process is not None and self._process.stdin is not None
        print(*words, file=self._process.stdin, flush=True)
        self._answered()

    def _answered(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer == "done\n", f"the line is dead: {answer!r}"


class _Switch:
    """What is done with the bytes of all connections."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._flows = asyncio.Event()
        self._flows.set()
        self._seconds = 0.0
        self._is_cut = False
        self._left = 0  # bytes until a cut, if above 0
        self._ends: set[asyncio.StreamWriter] = set()

    async def obey(self, reader: asyncio.StreamReader) -> None:
        say: dict[str, Callable[..., None]] = {
            "hold": self._flows.clear,
            "flow": self._flow,
            "slow": self._slow,
            "cut": self._cut,
            "mend": self._mend,
            "cut_after": self._cut_after,
        }
        while words := (await reader.readline()).decode().split():
            say[words[0]](*words[1:])
            _answer()

    def _flow(self) -> None:
        self._seconds = 0.0
        self._flows.set()

    def _slow(self, seconds: str) -> None:
        self._seconds = float(seconds)

    def _cut(self) -> None:
        self._is_cut = True
        self._reset_all()

    def _mend(self) -> None:
        self._is_cut = False

    def _cut_after(self, count: str) -> None:
        self._left = int(count)

    def _reset_all(self) -> None:
        for end in self._ends:
            _reset(end)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        far = None
        try:
            await self._flows.wait()
            if not self._is_cut:
                far_reader, far = await asyncio.open_connection("127.0.0.1", self._to)
                self._ends.add(far)
                pumps = [
                    asyncio.ensure_future(self._pump(reader, far)),
                    asyncio.ensure_future(self._pump(far_reader, writer)),
                ]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            _reset(writer)  # nobody listens there
        finally:
            if self._is_cut:
                _reset(writer)
            for end in filter(None, (writer, far)):
                self._ends.discard(end)
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                await self._flows.wait()
                await asyncio.sleep(self._seconds)
                if 0 < self._left <= len(piece):
                    self._left = 0
                    self._reset_all()
                    return
                self._left = max(0, self._left - len(piece))
                writer.write(piece)
                await writer.drain()


def _answer() -> None:
    sys.stdout.write("done\n")
    sys.stdout.flush()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    writer.transport.abort()


async def _run(port: int, to: int) -> None:
    switch = _Switch(to)
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    async with await asyncio.start_server(switch.serve, "127.0.0.1", port, backlog=1024):
        _answer()
        await switch.obey(words)


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), int(sys.argv[2])))
