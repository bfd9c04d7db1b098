"""The library's own sources in a real browser, at the server's origin: no page, no bundle. What a script there holds."""

import mimetypes
from pathlib import Path

from playwright.sync_api import CDPSession, Page, Route

FRONTEND = Path(__file__).parents[2] / "frontend"
PROBE = """<!doctype html><title>probe</title>
<script type="importmap">{"imports": {"@noble/hashes/": "/_probe/node_modules/@noble/hashes/"}}</script>
<script type="module">
import { createAttachments } from '/_probe/lib/attachments.js';
const api = { token: async () => window.token, refresh: async () => { throw new Error('refreshed'); } };
window.files = createAttachments({ api, apiUrl: '', fetch: (...request) => fetch(...request) });
window.hashed = async (blob) => {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
};
window.ready = true;
</script>"""


def open_probe(page: Page, origin: str, token: str) -> None:
    """`files` in the page is then the library's attachments, with this access token; `hashed` a Blob's SHA-256."""
    page.route("**/_probe/**", _serve)
    page.goto(f"{origin}/_probe/")
    page.wait_for_function("window.ready")
    page.unroute("**/_probe/**")  # what comes now goes by no detour
    page.evaluate("(token) => { window.token = token; }", token)


def _serve(route: Route) -> None:
    """The probe and the sources it imports."""
    path = route.request.url.split("/_probe", 1)[1]
    if path == "/":
        route.fulfill(body=PROBE, content_type="text/html")
        return
    file = FRONTEND / path.lstrip("/")
    kind = mimetypes.guess_type(file.name)[0] or "text/plain"
    route.fulfill(body=file.read_bytes(), content_type=kind)


def held(session: CDPSession) -> int:
    """Bytes that the script needs, typed arrays with them."""
    session.send("HeapProfiler.collectGarbage")
    usage = session.send("Runtime.getHeapUsage")
    return int(usage["usedSize"]) + int(usage["backingStorageSize"])
