"""What every HTTP door shares: reading bodies, and answering errors with a code and a sentence."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from typing import Any

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from realtime.errors import BadCommand, BadRequest, FlapError, TooLarge, WrongType
from realtime.protocol.typed_json import load
from realtime.server import SERVER
from realtime.telemetry.logs import about
from realtime.web.guard import is_page

MAX_BODY_BYTES = 131_072  # of JSON: an SDP offer grows when it is quoted
BODY_S = 10.0  # in which JSON or SDP must have come
UPLOAD_S = 60.0
WRITE_S = 10.0  # in which one who watches must have taken something
REFUSED_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>FLAP Live</title>
<body style="margin: 4em auto; max-width: 32em; padding: 0 1em; font: 1.1em sans-serif; color-scheme: light dark">
<p>FLAP Live cannot show this page: {sentence}.</p>
</html>
"""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
logger = logging.getLogger(__name__)


@web.middleware
async def name_session(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What is logged about a request for a session says which."""
    with about(request.match_info.get("session")):
        return await handler(request)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A FlapError becomes its status and sentence; anything else is logged here and answered without a trace."""
    try:
        return await handler(request)
    except FlapError as error:
        request.app[SERVER].refused[error.code] += 1
        return error_response(request, error.status, error.code, str(error), error.headers)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = (error.reason or "error").lower().replace(" ", "_")
        allowed = {name: value for name, value in error.headers.items() if name == hdrs.ALLOW}  # a 405 must say what is
        return error_response(request, error.status, code, f"{request.method} {request.path}: {error.reason}", allowed)
    except Exception:  # the client gets no stack trace
        request.app[SERVER].refused["internal"] += 1
        logger.exception("%s %r failed", request.method, request.path)
        return error_response(request, 500, "internal", "the server failed on this request; its log says why")


def is_not_the_clients_mistake(record: logging.LogRecord) -> bool:
    """A filter for aiohttp's own log, which calls each malformed request an error and shows its trace: strangers could fill it."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, HttpProcessingError) and error.code < 500)


def error_response(
    request: web.Request, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A code and a sentence as JSON; the sentence alone for a person who has opened a page."""
    if is_page(request) and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        # what a stranger has sent may be part of the sentence, and need not be text
        page = REFUSED_PAGE.format(sentence=escape(message)).encode(errors="replace")
        return web.Response(status=status, body=page, content_type="text/html", charset="utf-8", headers=headers)
    return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)


async def json_object(request: web.Request, most_bytes: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """The body as a JSON object. Raises WrongType, TooLarge or BadRequest."""
    if request.content_type != "application/json":  # also keeps other sites' plain forms out
        raise WrongType("send the body as application/json")
    try:
        body = load(await text_body(request, most_bytes))
    except BadCommand as error:
        raise BadRequest(f"the body is {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def check_fields(body: dict[str, Any], *known: str) -> None:
    """Raises BadRequest for a field that would mean nothing: it is misspelt."""
    if unknown := sorted(body.keys() - set(known)):
        raise BadRequest(f"unknown field {unknown[0][:80]!r}: the body may have {', '.join(known)}")


def text_field(body: dict[str, Any], name: str) -> str | None:
    """A string of a JSON object, None when it is not there. Raises BadRequest for anything else."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{name} must be a string")
    return value


async def text_body(request: web.Request, most_bytes: int) -> str:
    """The body as text. Raises TooLarge, and BadRequest when it is none, not in UTF-8, or longer than BODY_S on its way.

    Other charsets hold what is no text.
    """
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise BadRequest("the body must be in UTF-8")
    too_large = TooLarge(f"the body is longer than {most_bytes // 1024} KiB, the most that is taken here")
    try:
        most_s = BODY_S if most_bytes <= MAX_BODY_BYTES else UPLOAD_S
        return (await _receive(request, most_bytes, most_s, too_large)).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("the body is not text") from error


async def write_out(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Writes to one who watches. Raises ConnectionResetError for one who has gone, or has taken nothing for WRITE_S."""
    try:
        async with asyncio.timeout(WRITE_S):
            await response.write(data)
    except TimeoutError:
        if request.transport:
            request.transport.abort()
        raise ConnectionResetError("nothing is taken any more") from None


async def upload(request: web.Request, most_bytes: int) -> bytes:
    """The body of a request that may be longer than this server's other ones. Raises TooLarge or BadRequest."""
    mebibytes = most_bytes // 2**20
    too_large = TooLarge(f"the file is longer than {mebibytes} MiB: send a smaller one, or parts of it")
    return await _receive(request, most_bytes, UPLOAD_S, too_large)


async def _receive(request: web.Request, most_bytes: int, most_s: float, too_large: TooLarge) -> bytes:
    """The body. Raises `too_large` for a longer one, BadRequest for one that takes longer to come, or breaks off."""
    data = bytearray()
    try:
        async with asyncio.timeout(most_s):
            async for piece in request.content.iter_chunked(65_536):
                data += piece
                if len(data) > most_bytes:
                    raise too_large
    except TimeoutError as error:
        raise BadRequest(f"the body did not come within {most_s:g} s: send it again") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise BadRequest("the body broke off, or is not what Content-Encoding says: send it again") from error
    return bytes(data)
