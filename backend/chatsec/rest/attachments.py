"""`/chats/{id}/attachments`: ciphertext in and out as a stream, whole or a range of it (protocol §5, §6).

The body is never held: parts go from the socket to the file, so neither its length nor how it is sent (with a
`Content-Length` or chunked) takes memory. What is given out can act as nothing but bytes to be saved: octet-stream,
`attachment`, sandboxed, never cached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, cast

from apiflask import APIBlueprint
from flask import Response, request
from werkzeug.datastructures import ContentRange
from werkzeug.exceptions import HTTPException

from chatsec.domain.attachments import MAX_ATTACHMENT, PART, AttachmentService
from chatsec.domain.models import Json
from chatsec.errors import ChatSecError, invalid
from chatsec.rest import problem
from chatsec.rest.guard import authenticated, body_limit, caller, gives, limited, takes

RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})", re.IGNORECASE)
BYTES = "application/octet-stream"
HEADERS = {
    "Content-Disposition": "attachment",
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Accept-Ranges": "bytes",
}


def blueprint(attachments: AttachmentService) -> APIBlueprint:
    bp = APIBlueprint("attachments", __name__, url_prefix="/api/v1/chats", tag="attachments")

    @bp.post("/<chat_id>/attachments")
    @authenticated
    @limited("upload")
    @body_limit(MAX_ATTACHMENT)
    @takes(BYTES)
    @bp.doc(responses={201: "`{id, size}`"})
    def upload_attachment(chat_id: str) -> tuple[Json, int]:
        """Put ciphertext beside a chat."""
        stored = attachments.upload(caller().username, chat_id, _parts(), request.content_length)
        return {"id": stored.id, "size": stored.size}, 201

    @bp.get("/<chat_id>/attachments/<attachment_id>")
    @authenticated
    @gives(BYTES)
    @bp.doc(responses={200: "The ciphertext", 206: "One range of it"})
    def download_attachment(chat_id: str, attachment_id: str) -> Response:
        """Get ciphertext, whole or one range of it."""
        download = attachments.open(caller().username, chat_id, attachment_id)
        size = download.attachment.size
        etag = f'"{download.attachment.id}"'  # strong: the bytes of an id never change
        try:
            start, stop = _range(size, etag)
        except ChatSecError as error:
            download.close()
            response = problem(error)
            response.headers["Content-Range"] = f"bytes */{size}"
            return response
        response = Response(download.parts(start, stop), mimetype=BYTES)
        response.call_on_close(download.close)
        response.headers.update(HEADERS, ETag=etag)
        response.content_length = stop - start
        if (start, stop) != (0, size):
            response.status_code = 206
            response.content_range = ContentRange("bytes", start, stop, size)
        return response

    return bp


def _parts() -> Iterator[bytes]:
    """The body as it comes. A body that breaks off is `invalid`: nobody should take half a file for one."""
    # Neither WSGI nor eventlet tells Werkzeug where a chunked body ends, so that one is read from below it.
    chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    stream = cast(IO[bytes], request.environ["wsgi.input"] if chunked else request.stream)
    while True:
        try:
            part = stream.read(PART)
        except (OSError, ValueError, HTTPException) as error:
            raise invalid("body", "broke off") from error
        if not part:
            return
        yield part


def _range(size: int, etag: str) -> tuple[int, int]:
    """The half-open range that is asked for (RFC 9110 §14.1.2), all of it if there is none that counts: a unit other
    than bytes, what cannot be read, several ranges, and one whose `If-Range` is of another file are as if not there."""
    asked = RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or request.headers.get("If-Range", etag) != etag:
        return 0, size
    first, last = (int(number) if number else None for number in asked.groups())
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        return 0, size
    if first is None:  # the last so many bytes
        start, stop = max(0, size - (last or 0)), size
    else:
        start, stop = first, size if last is None else min(size, last + 1)
    if start >= stop:
        raise ChatSecError("range_not_satisfiable", f"the attachment has {size} bytes")
    return start, stop
