"""A file of the greatest size that is allowed, up and down by the library in a real browser: how fast, and what is held meanwhile.

The library's sources run at the server's origin, through a connection that can be cut. A turn makes a file of random bytes
and sends it up and down twice: once `timed`, with nobody looking; once `watched`, when the script's memory is looked at all
the time, garbage collected before each look, and that of the browser's renderers and of the server beside it. The watched
download is cut off in its middle once and goes on by itself. What came down is compared with the file, piece by piece.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page

from bench.chromium import chromium, renderers_kib
from bench.cut import Cut
from bench.processes import chat_sec, cpu_seconds, pss_kib
from bench.report import Figures, Report, options, scratch, show
from bench.workload import Api, user_of
from tests.e2e.probe import held, open_probe

MIB = 1 << 20
TAG = 16  # bytes that encryption adds to a segment of 1 MiB
MAX_HELD_MIB, MAX_SERVER_MIB = 16.0, 16.0
LOOK_EVERY = 20  # ms
COLUMNS = {
    "seconds": ".1f",
    "mib_per_second": ".0f",
    "server_cpu_ms": ".0f",
    "script_mib": ".1f",
    "renderer_mib": ".1f",
    "server_mib": ".1f",
    "cuts": ".0f",
}
MAKE_FILE = """(size) => {
  const parts = [];
  for (let left = size; left > 0; left -= 65536) {
    parts.push(new Blob([crypto.getRandomValues(new Uint8Array(Math.min(65536, left)))]));
  }
  window.file = new Blob(parts);
}"""
START = """([way, chat]) => {
  const ways = {
    up: async () => { window.told = await files.put(chat, file, { name: 'n', mime: '', onProgress }); },
    down: async () => { window.opened = await files.open(chat, told, { onProgress }); },
  };
  const onProgress = ({ done }) => { window.done = done; };
  window.outcome = null;
  const began = performance.now();
  ways[way]().then(() => (outcome = performance.now() - began), (error) => (outcome = String(error)));
}"""
IS_SAME = """async () => {
  if (opened.size !== file.size) return false;
  for (let from = 0; from < file.size; from += 1048576) {
    const pieces = [file, opened].map((blob) => hashed(blob.slice(from, from + 1048576)));
    const [sent, got] = await Promise.all(pieces);
    if (sent !== got) return false;
  }
  return true;
}"""


@dataclass
class Place:
    """A page of a browser, a server, and the chat that the file is for."""

    browser: Browser
    page: Page
    pid: int
    chat: str
    connection: Cut

    def go(self, way: str, look: Callable[[], None] | None = None) -> float:
        """Seconds that it took; RuntimeError if it failed."""
        self.page.evaluate(START, [way, self.chat])
        while (outcome := self.page.evaluate("outcome")) is None:
            if look:
                look()
            self.page.wait_for_timeout(LOOK_EVERY if look else 5 * LOOK_EVERY)
        if not isinstance(outcome, int | float):
            raise RuntimeError(f"{way}: {outcome}")
        return outcome / 1000

    def timed(self, way: str, size: int) -> Figures:
        before = cpu_seconds(self.pid)
        seconds = self.go(way)
        return {
            "seconds": seconds,
            "mib_per_second": size / MIB / seconds,
            "server_cpu_ms": (cpu_seconds(self.pid) - before) * 1000,
        }

    def watched(self, way: str) -> Figures:
        """The most that each held beyond what it held before, in MiB."""
        session = self.page.context.new_cdp_session(self.page)
        meters = {
            "script_mib": lambda: held(session) / MIB,
            "renderer_mib": lambda: renderers_kib(self.browser) / 1024,
            "server_mib": lambda: pss_kib(self.pid) / 1024,
        }
        before = {name: meter() for name, meter in meters.items()}
        most = dict(before)

        def look() -> None:
            most.update({name: max(most[name], meter()) for name, meter in meters.items()})

        cuts = self.connection.cuts
        self.go(way, look)
        session.detach()
        return {name: most[name] - before[name] for name in meters} | {"cuts": self.connection.cuts - cuts}

    def check(self) -> None:
        if not self.page.evaluate(IS_SAME):
            raise RuntimeError("what came down is not what went up")


@contextmanager
def place(browser: Browser, folder: Path) -> Iterator[Place]:
    """With one small file that went up and down already, so that what is loaded once counts for nobody."""
    with chat_sec(folder) as (pid, port), closing(Cut(port)) as connection:
        api = Api(f"http://127.0.0.1:{port}")
        user_of(api, "bob", 1)
        alice = user_of(api, "alice", 0)
        page = browser.new_page()
        open_probe(page, f"http://127.0.0.1:{connection.port}", alice.token)
        made = Place(browser, page, pid, alice.create_chat("bob"), connection)
        page.evaluate(MAKE_FILE, MIB + 1)
        for way in ("up", "down"):
            made.go(way)
        yield made
        page.close()


def turn(browser: Browser, mib: int, folder: Path) -> dict[str, Figures]:
    """way → figures."""
    size = mib * (MIB - TAG)  # the whole of it encrypted is `mib` MiB
    with place(browser, folder) as here:
        here.page.evaluate(MAKE_FILE, size)
        found = {way: here.timed(way, size) for way in ("up", "down")}
        here.check()
        here.page.evaluate("opened = null")
        found["up"] |= here.watched("up")
        here.connection.after(size // 2)
        found["down"] |= here.watched("down")
        here.check()
    if (found["up"]["cuts"], found["down"]["cuts"]) != (0, 1):
        raise RuntimeError("not one cut, or not where it was to be")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = options("attachment", __doc__, mib=100).parse_args(arguments)
    with ExitStack() as stack:
        folder = scratch(stack)
        browser = stack.enter_context(chromium())
        report = Report("an attachment in the browser", {"mib": chosen.mib})
        found = [turn(browser, chosen.mib, folder / str(number)) for number in range(chosen.turns)]
    turns = {way: [each[way] for each in found] for way in found[0]}
    bars = [
        (f"most {who} MiB on the way {way}", max(each[f"{who}_mib"] for each in turns[way]), most)
        for who, most in (("script", MAX_HELD_MIB), ("server", MAX_SERVER_MIB))
        for way in turns
    ]
    show(report.write(chosen.json, turns, bars), COLUMNS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
