"""The door-keeper of every HTTP door: rate, host, origin and role are looked at before a handler runs.

A handler says with `@needs(...)` or `@open_to_all` who may call it; one that says nothing is for administrators.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from realtime.config import ServerConfig
from realtime.errors import Expired, Forbidden, Overloaded, RateLimited, Unauthorized
from realtime.web.access import Grant, Grants, Role, is_local, read_token
from realtime.web.rate_limit import Pace, RateLimiter, client_address

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
NO_TOKEN = "open the link that you were given once more: there is a token in it, as ?token=... (programs send Authorization: Bearer ...)"
COOKIE = "flap_token"  # then the port and the role
PAGES = ("/", "/operator", "/watch")  # their address may carry a token
DEAR = 10  # what making something costs; looking at something costs 1
BUSY_S = 5.0  # after which it is worth trying again
FILE = 0.1  # of a page, which is made of thirty
LIMITER = web.AppKey("limiter", RateLimiter)
PACE = web.AppKey("pace", Pace)
SELDOM = web.AppKey("seldom", RateLimiter)  # what is worth a line in the log, but not each time
GRANTS = web.RequestKey("grants", Grants)
SAFE_METHODS = (hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS)
FETCHED_BY_ANOTHER_SITE = "cross-site"  # Sec-Fetch-Site
CORS_METHODS, CORS_HEADERS = "GET, POST, PUT, PATCH, DELETE, OPTIONS", "Authorization, Content-Type, If-Match"
CORS_EXPOSED = "Location, Link, ETag, Accept-Post, Retry-After"
_ROLES: dict[object, Role | None] = {}  # handler -> what it needs, None: nothing
_COSTS: dict[object, int] = {}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """What the tokens of a request are worth: what those that are good grant, and why the others are not good."""

    grants: tuple[Grant, ...] = ()
    refusals: tuple[Unauthorized, ...] = ()
    unreadable: Forbidden | None = None  # cookies of a host that is none

    @property
    def best(self) -> Grant | None:
        return max(self.grants, key=lambda grant: grant.role, default=None)


SHOWN = web.RequestKey("shown", Shown)


def needs(role: Role, cost: int = 1) -> Callable[[Handler], Handler]:
    """Marks a handler as one that needs `role`, and what a call counts for the sender's rate."""

    def mark(handler: Handler) -> Handler:
        _ROLES[handler], _COSTS[handler] = role, cost
        return handler

    return mark


def open_to_all(handler: Handler) -> Handler:
    """Marks a handler as one that needs no token: pages and what load balancers ask."""
    _ROLES[handler] = None
    return handler


def grants_of(request: web.Request) -> Grants:
    return request[GRANTS]


def guard(config: ServerConfig) -> Middleware:
    """A middleware; raises RateLimited, Unauthorized, Forbidden or Overloaded."""

    @web.middleware
    async def keep_door(request: web.Request, handler: Handler) -> web.StreamResponse:
        if config.secret is None:
            _check_site(request, config)
        request[SHOWN] = _shown(request, config.secret)
        called = request.match_info.handler
        cost = FILE if _is_file(request) else _COSTS.get(called, 1)
        _pay(request, config, cost)
        if config.secret is None:
            _check_local(request)
        _check_origin(request, config)
        if _is_preflight(request):
            return web.Response(status=204)
        if config.secret and "token" in request.query and is_page(request):
            return _keep_token(request, config, config.secret)
        if request.match_info.http_exception is None and not _is_file(request):
            request[GRANTS] = _admit(request, config, _ROLES.get(called, Role.ADMIN))
        if cost >= DEAR:
            await _wait_for_turn(request)
        return await handler(request)

    return keep_door


async def begin_dear(request: web.Request, config: ServerConfig) -> None:
    """What a handler that costs 1 calls when there is something to make after all. Raises RateLimited or Overloaded."""
    _pay(request, config, DEAR - 1)
    await _wait_for_turn(request)


def add_headers(config: ServerConfig) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """What every answer carries: CORS for origins that are allowed, and what keeps browsers from guessing and framing."""
    frames = " ".join(("'self'", *config.allowed_origins))

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Content-Security-Policy"] = f"frame-ancestors {frames}"
        if _is_file(request):
            response.headers[hdrs.CACHE_CONTROL] = "no-cache"  # modules of two versions do not fit together
        if config.allowed_origins:
            response.headers[hdrs.VARY] = hdrs.ORIGIN
        origin = request.headers.get(hdrs.ORIGIN)
        if origin in config.allowed_origins:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = CORS_EXPOSED
            if _is_preflight(request):
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = CORS_METHODS
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = CORS_HEADERS
                response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = "600"

    return add


def sender_of(request: web.Request, config: ServerConfig) -> str:
    """The address that a request came from."""
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))  # a proxy may add a line of its own
    return client_address(request.remote or "", forwarded or None, config.proxies)


def _is_news(request: web.Request, what: str, sender: str) -> bool:
    return not request.app[SELDOM].take(sender, 1, time.monotonic(), what)


def _pay(request: web.Request, config: ServerConfig, cost: float) -> None:
    """Each role of an address pays for itself: visitors of a shop are often where its host is."""
    best, sender = request[SHOWN].best, sender_of(request, config)
    if "X-Forwarded-For" in request.headers and sender == request.remote and _is_news(request, "proxy", sender):
        logger.warning("%s sends X-Forwarded-For: if it is your proxy, name it in trusted_proxies", sender)
    wait_s = request.app[LIMITER].take(sender, cost, time.monotonic(), best.role.name if best else "")
    if wait_s:
        raise RateLimited(wait_s)


async def _wait_for_turn(request: web.Request) -> None:
    """Raises Overloaded."""
    wait_s = request.app[PACE].wait_s(time.monotonic())
    if wait_s is None:
        raise Overloaded("too many ask for something that takes time: try again in a few seconds", soon_s=BUSY_S)
    await asyncio.sleep(wait_s)


def _check_local(request: web.Request) -> None:
    """Without a secret only this machine's own browsers are served, not what a proxy or another name leads here."""
    forwarded = "Forwarded" in request.headers or "X-Forwarded-For" in request.headers
    if forwarded or not is_local(_parts(f"//{request.host}").hostname or ""):
        raise Forbidden(
            "without a secret this server answers to localhost only: set FLAP_SECRET to serve others (docs/security.md)"
        )


def _check_site(request: web.Request, config: ServerConfig) -> None:
    """Without a secret another site's page could take the places of viewers, and its user's rate, by showing the streams."""
    if (
        request.headers.get("Sec-Fetch-Site") == FETCHED_BY_ANOTHER_SITE
        and request.headers.get("Sec-Fetch-Mode") != "navigate"
        and request.headers.get(hdrs.ORIGIN) not in config.allowed_origins
    ):
        raise Forbidden("pages of other sites may not use this server: name them in allowed_origins")


def _parts(url: str) -> SplitResult:
    """Raises Forbidden for what is no URL."""
    try:
        return urlsplit(url)
    except ValueError as error:
        raise Forbidden(f"a header is malformed: {error}") from error


def _check_origin(request: web.Request, config: ServerConfig) -> None:
    """Another site's page may neither change anything nor open the control channel."""
    origin = request.headers.get(hdrs.ORIGIN)
    upgrades = hdrs.UPGRADE in request.headers
    if origin is None or (request.method in SAFE_METHODS and not upgrades and not _is_preflight(request)):
        return
    if origin not in config.allowed_origins and _parts(origin).netloc != request.host:
        raise Forbidden(f"pages of {origin[:200]} may not use this server: name it in allowed_origins if they should")


def _admit(request: web.Request, config: ServerConfig, needed: Role | None) -> Grants:
    """What the sender may do. Raises Unauthorized or Forbidden."""
    if config.secret is None:
        return Grants((Grant(Role.ADMIN),))
    if needed is None:
        return Grants((Grant(Role.VIEWER),))
    best = _best_of(request, config, request[SHOWN], needed)
    best.check(needed)
    return Grants(tuple(grant for grant in request[SHOWN].grants if grant.role >= needed))


def _shown(request: web.Request, secret: str | None) -> Shown:
    if secret is None:
        return Shown()
    try:
        return _look_at(_tokens(request), secret)
    except Forbidden as refusal:
        return Shown(unreadable=refusal)


def _look_at(tokens: list[str], secret: str) -> Shown:
    grants: list[Grant] = []
    refusals: list[Unauthorized] = []
    for token in tokens:
        try:
            grants.append(read_token(secret, token))
        except Unauthorized as refusal:
            refusals.append(refusal)
    return Shown(tuple(grants), tuple(refusals))


def _best_of(request: web.Request, config: ServerConfig, shown: Shown, needed: Role = Role.VIEWER) -> Grant:
    """The best grant. Raises Unauthorized when there is none, or one that would have been enough for `needed` has expired."""
    if shown.unreadable:
        raise shown.unreadable
    expired = [refusal for refusal in shown.refusals if isinstance(refusal, Expired)]
    best = shown.best
    if expired and not (best and best.role >= needed) and _is_news(request, "expired", sender_of(request, config)):
        logger.info("%s shows a token that has expired", sender_of(request, config))
    if best is None:
        if len(expired) < len(shown.refusals):
            _pay(request, config, DEAR)  # guessing is slow
        raise (expired or shown.refusals or (Unauthorized(NO_TOKEN),))[-1]
    if best.role < needed and (late := next((refusal for refusal in expired if refusal.rank >= needed), None)):
        raise late
    return best


def _tokens(request: web.Request) -> list[str]:
    """What the sender shows: one token, or all that the browser holds. Raises Forbidden."""
    kind, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if kind.lower() == "bearer":
        return [token.strip()]
    if request.method == hdrs.METH_GET and request.query.get("token"):
        return [request.query["token"]]
    names = [_cookie_name(request, role) for role in Role]
    return [request.cookies[name] for name in names if name in request.cookies]


def _cookie_name(request: web.Request, role: Role) -> str:
    """Browsers send a cookie to every port of a host, where another server may be, and keep the last of a name.

    A link that another site shows comes without the cookies that the browser holds, so that only the name can keep a
    viewer's token from taking an operator's place. Raises Forbidden.
    """
    try:
        port = urlsplit(f"//{request.host}").port
    except ValueError as error:
        raise Forbidden(f"the Host header is malformed: {error}") from error
    return "_".join((COOKIE, *([str(port)] if port else []), role.name.lower()))


def is_page(request: web.Request) -> bool:
    """Whether a person may be looking at the answer."""
    return request.method == hdrs.METH_GET and request.path in PAGES


def _keep_token(request: web.Request, config: ServerConfig, secret: str) -> web.Response:
    """Puts the token of a page's address into a cookie that no script can read, and out of the address."""
    token = request.query["token"]
    role = _best_of(request, config, _look_at([token], secret)).role
    rest = [(name, value) for name, value in request.query.items() if name != "token"]
    response = web.Response(status=303, headers={hdrs.LOCATION: str(request.rel_url.with_query(rest))})
    secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
    response.set_cookie(_cookie_name(request, role), token, httponly=True, samesite="Strict", secure=secure, path="/")
    return response


def _is_preflight(request: web.Request) -> bool:
    return request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers


def _is_file(request: web.Request) -> bool:
    return isinstance(request.match_info.route.resource, web.StaticResource)
