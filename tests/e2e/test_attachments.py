"""The library's attachments in a real browser against the real server, by the sources themselves: no page, no bundle.

A file near the limit goes up and comes down with the script's memory flat; what either language seals the other opens.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page

from tests.e2e.probe import held, open_probe
from tests.support.attachments import open_attachment, seal_attachment
from tests.support.client import User
from tests.support.server import ServerProcess

pytestmark = pytest.mark.browser

MIB = 1 << 20
FLAT = 16 * MIB  # a few segments, on both sides of encryption, and what the network hands over


@pytest.fixture(scope="module")
def alice(users: Callable[..., User]) -> User:
    users("bob", 1)
    return users("alice", 0)


@pytest.fixture(scope="module")
def chat(alice: User) -> str:
    return alice.create_chat("bob")


@pytest.fixture
def page(chromium: Browser, server: ServerProcess, alice: User) -> Iterator[Page]:
    context = chromium.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_probe(page, server.url, alice.token)
    yield page
    context.close()
    assert errors == []


def most_held(page: Page, work: str, chat: str) -> int:
    """The most that is held beyond what was before, looked at all the time while `work` runs."""
    session = page.context.new_cdp_session(page)
    before = most = held(session)
    page.evaluate(
        f"""(chat) => {{
          window.outcome = null;
          ({work})(chat).then(() => (outcome = 'done'), (error) => (outcome = String(error)));
        }}""",
        chat,
    )
    looked = 0
    while (outcome := page.evaluate("outcome")) is None:
        most = max(most, held(session))
        looked += 1
        page.wait_for_timeout(50)  # each look stops the work for a collection
    assert outcome == "done"
    assert looked > 3, "too fast to have seen anything"
    session.detach()
    return most - before


def test_a_file_near_the_limit_takes_no_memory(page: Page, chat: str) -> None:
    """Up and down, with progress; meanwhile the script holds a few segments and never the file."""
    page.evaluate(
        """() => {
          const part = new Blob([crypto.getRandomValues(new Uint8Array(65536))]);
          window.file = new Blob(Array(99 * 16 + 3).fill(part));
          window.steps = { up: [], down: [] };
        }"""
    )
    up = """async (chat) => {
      const onProgress = ({ done }) => steps.up.push(done);
      window.told = await files.put(chat, file, { name: 'n', mime: 'image/png', onProgress });
    }"""
    down = """async (chat) => {
      const onProgress = ({ done }) => steps.down.push(done);
      window.opened = await files.open(chat, told, { onProgress });
    }"""
    assert most_held(page, up, chat) < FLAT
    assert most_held(page, down, chat) < FLAT
    result: dict[str, Any] = page.evaluate(
        """async () => {
          const rising = (list) => list.every((done, i) => i === 0 || done >= list[i - 1]);
          const ends = (blob) => [blob.slice(0, 1048577), blob.slice(-1048577)];
          const hashes = (blob) => Promise.all(ends(blob).map(hashed));
          return {
            sizes: [file.size, opened.size], type: opened.type, sent: await hashes(file), got: await hashes(opened),
            rising: rising(steps.up) && rising(steps.down), last: [steps.up.at(-1), steps.down.at(-1)],
            count: [steps.up.length, steps.down.length],
          };
        }"""
    )
    size = 99 * MIB + 3 * MIB // 16
    assert result["sizes"] == [size, size]
    assert result["sent"] == result["got"]
    assert result["type"] == "image/png"
    assert result["rising"] and result["last"] == [size + 16 * 100] * 2
    assert min(result["count"]) > 3


def test_an_upload_is_cancelled_and_a_refusal_has_its_name(page: Page, chat: str) -> None:
    """By XMLHttpRequest, which only a browser has."""
    cancelled = page.evaluate(
        """async (chat) => {
          const stop = new AbortController();
          const blob = new Blob([new Uint8Array(4 * 1048576)]);
          const put = files.put(chat, blob, {
            name: 'n', mime: '', signal: stop.signal, onProgress: ({ done }) => done > 0 && stop.abort(),
          });
          return put.then(() => 'stored', (error) => error.name);
        }""",
        chat,
    )
    assert cancelled == "AbortError"
    refusal = """async (chat) => files.put(chat, new Blob(['x']), { name: 'n', mime: '' })
      .then(() => 'stored', (error) => error.code)"""
    assert page.evaluate(refusal, "00000000-0000-4000-8000-000000000000") == "not_found"


def test_what_either_language_seals_the_other_opens(page: Page, alice: User, chat: str) -> None:
    """Files of none, one and several segments, both ways."""
    url = f"{alice.url}/api/v1/chats/{chat}/attachments"
    headers = {"Authorization": f"Bearer {alice.token}"}
    for size in (0, 5, MIB, 2 * MIB + 1):
        plaintext = bytes(n % 251 for n in range(size))
        ciphertext, told = seal_attachment(plaintext, "n", "text/plain")
        binary = headers | {"Content-Type": "application/octet-stream"}
        stored = requests.post(url, data=ciphertext, headers=binary, timeout=60).json()
        lengths = page.evaluate(
            """async ([chat, told]) => {
              const opened = new Uint8Array(await (await files.open(chat, told)).arrayBuffer());
              return [opened.length, opened.findIndex((byte, i) => byte !== i % 251)];
            }""",
            [chat, told | {"id": stored["id"]}],
        )
        assert lengths == [size, -1]
        made = page.evaluate(
            """async ([chat, size]) => files.put(
              chat, new Blob([Uint8Array.from({ length: size }, (_, i) => i % 251)]), { name: 'n', mime: '' })""",
            [chat, size],
        )
        answer = requests.get(f"{url}/{made['id']}", headers=headers, timeout=60)
        assert open_attachment(answer.content, made) == plaintext
