"""axe-core in a page: what its rules find against accessibility. It is evaluated by the debugger, which no CSP concerns."""

import json
from pathlib import Path

from playwright.sync_api import Page

SOURCE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """axe.run(document, {resultTypes: ["violations"]}).then((result) => JSON.stringify(
  result.violations.map(({id, nodes}) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(" ")}`)))"""


def violations(page: Page) -> list[str]:
    """One line for each rule that is broken, with the elements that break it; after what moves has come to rest."""
    page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished.catch(() => 0)))")
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": SOURCE.read_text("utf-8")})
    answer = session.send(
        "Runtime.evaluate", {"expression": RUN, "awaitPromise": True, "returnByValue": True}
    )
    session.detach()
    found: list[str] = json.loads(answer["result"]["value"])
    return found
