"""Requests that change something, noted in the audit log: who asked, for what, and how it was answered."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Middleware

from realtime.config import ServerConfig
from realtime.telemetry.audit import AuditLog
from realtime.web.guard import GRANTS, SAFE_METHODS, sender_of

TOO_MANY = 429  # whoever asks too much does not fill the log
MAX_QUERY = 500
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def audit_requests(log: AuditLog, config: ServerConfig) -> Middleware:
    """A middleware for the outside of all others. Of a query the token is left out."""

    @web.middleware
    async def audit(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if request.method not in SAFE_METHODS and response.status != TOO_MANY:
            grants = request.get(GRANTS)
            query = urlencode([(name, value) for name, value in request.query.items() if name != "token"])
            log.note(
                "request", method=request.method, path=request.path[:MAX_QUERY], query=query[:MAX_QUERY] or None,
                status=response.status, address=sender_of(request, config),
                role=grants.role.name.lower() if grants else None,
            )  # fmt: skip
        return response

    return audit
