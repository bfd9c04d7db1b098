"""The page itself in a real browser: a log-in with many chats, and a new epoch of a large `combined` chat.

`log-in` is that of a clean browser, from the moment that the log-in was answered to the moment that all chats are listed
(`took_ms`), and those are read that a page reads by itself (`read_ms`). Most chats are `combined`, each of a few people, with
a message that is not read yet; one is of 200. There the same person takes the last member out, and in again: from the press
of the button to the list of members as it then is (`took_ms`), and what of that the browser's worker was at work
(`worker_ms`): the entry, the share, and a wrap for everybody.
All times are those of the browser's own clock. Whatever the page complains of is an error of the bench.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack

from playwright.sync_api import Browser, Locator

from bench.chromium import PATIENCE, chromium
from bench.processes import chat_sec
from bench.report import Figures, Report, median, options, scratch, show
from bench.workload import Api, user_of
from tests.e2e.pages import Visitor
from tests.support.client import User

MAX_LIST_MS, MAX_WORKER_MS, MAX_CHANGE_MS = 2000.0, 1500.0, 1500.0
SERVER_EVERY = 10  # one chat in so many is of key mode `server`
FRIENDS = 4  # at most, in each of the small chats
LARGE = "Everybody"
BACKGROUND_CHATS = 20  # that a client reads by itself, the newest (frontend/lib/live.js)
COLUMNS = {"took_ms": ".0f", "worker_ms": ".0f", "read_ms": ".0f", "requests": ".0f"}
# In every document, before its own scripts: when the list had how many chats, and what the worker was asked and answered.
WATCH = """
(() => {
  const seen = { chats: [], tasks: [] };
  Object.defineProperty(window, 'seen', { value: seen });
  performance.setResourceTimingBufferSize(10000);
  new MutationObserver(() => {
    const count = document.querySelectorAll('nav[aria-label="Chats"] li > a[href^="#"]').length;
    if (count !== (seen.chats.at(-1)?.count ?? 0)) seen.chats.push({ count, at: performance.now() });
  }).observe(document, { childList: true, subtree: true });
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message, ...more) {
    const task = { name: message.task, began: performance.now(), took: null };
    seen.tasks.push(task);
    this.addEventListener('message', ({ data }) => {
      if (data.id === message.id) task.took = performance.now() - task.began;
    });
    return post.call(this, message, ...more);
  };
})();
"""
# Milliseconds since the log-in was answered, until so many chats were listed and so many were read; null: not yet.
SINCE_LOGIN = """([chats, read]) => {
  const answers = performance.getEntriesByType('resource').filter(({ name }) => name.includes('/api/v1/'));
  const login = answers.find(({ name }) => name.endsWith('/auth/login'));
  if (!login?.responseEnd) return null;
  const later = answers.filter(({ responseEnd }) => responseEnd > login.responseEnd);
  const last = later.filter(({ name }) => name.includes('/messages?'))[read - 1];
  const listed = seen.chats.find((look) => look.count >= chats);
  if (!last || !listed) return null;
  const [took_ms, read_ms] = [listed.at, last.responseEnd].map((at) => at - login.responseEnd);
  return { took_ms, read_ms, requests: later.length };
}"""
# A press; answers once the person is in the list, or is not in it any more.
PRESS = """([button, list, username, here]) => new Promise((resolve) => {
  const from = seen.tasks.length;
  const began = performance.now();
  const watch = new MutationObserver(() => {
    if ([...list.children].some((row) => row.textContent.includes(`@${username}`)) !== here) return;
    watch.disconnect();
    resolve({ took: performance.now() - began, tasks: seen.tasks.slice(from) });
  });
  watch.observe(list, { childList: true, subtree: true });
  button.click();
})"""


class World:
    """Rita and the others on one server: her chats, and the large one among them."""

    def __init__(self, port: int, members: int, chats: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        api = Api(self.url)
        self.rita = User.register(self.url, "rita", real_kdf=True)
        names = [f"member{number:03}" for number in range(1, members)]
        others = [user_of(api, name, number) for number, name in enumerate(names, 1)]
        self.chats, self.last = chats, names[-1]
        self.rita.create_combined(*names, name=LARGE)
        for number in range(chats - 1):
            friends = [others[(number + place) % len(others)] for place in range(1 + number % FRIENDS)]
            self._chat(number, friends)

    def _chat(self, number: int, friends: Sequence[User]) -> None:
        make = self.rita.create_chat if number % SERVER_EVERY == 0 else self.rita.create_combined
        chat = make(*{friend.username for friend in friends}, name=f"Chat {number}")
        friends[0].send(chat, f"hello {number}")


class Guest:
    """Rita at one clean browser."""

    def __init__(self, browser: Browser, world: World) -> None:
        self._world = world
        self._visitor = Visitor(browser, world.url)
        self._visitor.context.set_default_timeout(PATIENCE)
        self._visitor.context.add_init_script(WATCH)
        self._page = self._visitor.page

    def log_in(self) -> Figures:
        """Until all chats are listed, and those are read that a client reads by itself."""
        self._visitor.login("rita", self._world.rita.password)
        counts = [self._world.chats, min(self._world.chats, BACKGROUND_CHATS)]
        while (since := self._page.evaluate(SINCE_LOGIN, counts)) is None:
            self._page.wait_for_timeout(100)
        return since

    def change(self, times: int) -> dict[str, list[Figures]]:
        """The last member of the large chat is taken out and in again."""
        self._visitor.open_chat(LARGE)
        self._page.get_by_role("button", name="Members", exact=True).click()
        members = self._page.get_by_role("dialog", name="Members")
        found: dict[str, list[Figures]] = {"remove": [], "add": []}
        for _ in range(times):
            found["remove"].append(self._remove(members))
            found["add"].append(self._add(members))
        return found

    def _remove(self, members: Locator) -> Figures:
        row = members.get_by_role("listitem").filter(has_text=f"@{self._world.last}")
        row.get_by_role("button", name="Options for ").click()
        return self._press(members, row.get_by_role("button", name="Remove "), False)

    def _add(self, members: Locator) -> Figures:
        members.get_by_role("button", name="Add people").click()
        adding = self._page.get_by_role("dialog", name="Add people")
        adding.get_by_label("Find people").fill(self._world.last)
        adding.get_by_role("checkbox", name=self._world.last, exact=True).check()
        figures = self._press(members, adding.get_by_role("button", name="Add", exact=True), True)
        adding.wait_for(state="detached")
        return figures

    def _press(self, members: Locator, button: Locator, here: bool) -> Figures:
        handles = [button.element_handle(), members.locator("ul").first.element_handle()]
        pressed = self._page.evaluate(PRESS, [*handles, self._world.last, here])
        names = [task["name"] for task in pressed["tasks"]]
        if names != ["makeEntry", "makeShare"]:
            raise RuntimeError(f"the worker did something else: {names}")
        return {"took_ms": pressed["took"], "worker_ms": sum(task["took"] for task in pressed["tasks"])}

    def close(self) -> None:
        self._visitor.close()
        if self._visitor.complaints:
            raise RuntimeError("\n".join(self._visitor.complaints))


def turn(browser: Browser, world: World, changes: int) -> dict[str, Figures]:
    """side → figures; of the changes their medians."""
    guest = Guest(browser, world)
    found = {"log-in": guest.log_in()}
    for side, made in guest.change(changes).items():
        found[side] = {name: median(made, name) for name in made[0]}
    guest.close()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    sizes = {"members": 200, "chats": 50, "changes": 3}
    chosen = options("page", __doc__, **sizes).parse_args(arguments)
    with ExitStack() as stack:
        _, port = stack.enter_context(chat_sec(scratch(stack), CHAT_KEY_MODE="combined"))
        world = World(port, chosen.members, chosen.chats)
        browser = stack.enter_context(chromium())
        report = Report("the page in the browser", {name: getattr(chosen, name) for name in sizes})
        found = [turn(browser, world, chosen.changes) for _ in range(chosen.turns)]
    turns = {side: [each[side] for each in found] for side in found[0]}
    bars = [("ms until all chats are listed", median(turns["log-in"], "took_ms"), MAX_LIST_MS)]
    for side in ("remove", "add"):
        bars.append((f"worker ms to {side}", median(turns[side], "worker_ms"), MAX_WORKER_MS))
        bars.append((f"ms from the press to {side}", median(turns[side], "took_ms"), MAX_CHANGE_MS))
    show(report.write(chosen.json, turns, bars), COLUMNS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
