"""Who may do what: roles, and the signed, expiring tokens that give them (JSON Web Tokens, RFC 7519, by HMAC-SHA256)."""

import base64
import hashlib
import hmac
import ipaddress
import json
import re
import secrets
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from realtime.errors import Expired, Forbidden, Unauthorized

LEAST_SECRET_CHARACTERS = 32
MAX_TOKEN_CHARACTERS = 2048
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")  # as browsers write it
USUAL_PORTS = (("http://", ":80"), ("https://", ":443"))  # which they leave out
HEADER = {"alg": "HS256", "typ": "JWT"}


class Role(IntEnum):
    """Each may do what those before it may."""

    VIEWER = 1  # watches
    HOST = 2  # makes sessions, speaks in them, ends them
    OPERATOR = 3  # directs the avatar, starts outputs
    ADMIN = 4  # adds and removes presenters, reads metrics


@dataclass(frozen=True)
class Grant:
    """What the sender of a request may do; with `session`, in that session only."""

    role: Role
    session: str | None = None

    def check(self, needed: Role) -> None:
        """Raises Forbidden."""
        if self.role < needed:
            raise Forbidden(f"this needs the role {needed.name.lower()}; your token is for {self.role.name.lower()}")


@dataclass(frozen=True)
class Grants:
    """What the sender of a request may do by any of the tokens that are good enough for what is asked."""

    held: tuple[Grant, ...]

    @property
    def role(self) -> Role:
        """The highest."""
        return max(grant.role for grant in self.held)

    def role_in(self, session_id: str) -> Role:
        """The highest that is good for this session."""
        return max(grant.role for grant in self.held if grant.session in (None, session_id))

    def cover(self, session_id: str | None) -> bool:
        """Whether they are good for this session; None stands for no session in particular."""
        return any(grant.session in (None, session_id) for grant in self.held)

    def check_session(self, session_id: str | None) -> None:
        """Raises Forbidden."""
        if not self.cover(session_id):
            raise Forbidden("your token is for one session only, and not for this")


def is_local(host: str) -> bool:
    """Whether a host name or address means this machine and nothing else."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_origin(text: str) -> None:
    """Raises ValueError for what no browser sends as the origin of a page, and for what says nothing of where one is from."""
    if text == "null":
        raise ValueError("'null' is what a page of any origin may send: serve the page from a server and name that")
    usual = any(text.startswith(scheme) and text.endswith(port) for scheme, port in USUAL_PORTS)
    if usual or not ORIGIN.fullmatch(text):
        raise ValueError(
            f"{text!r} is not what browsers send: write the scheme, the name in small letters and the port if it is "
            "not the usual one, and nothing after it, as https://example.org or http://localhost:3000"
        )


def new_secret() -> str:
    """43 characters, 256 bits."""
    return secrets.token_urlsafe(32)


def make_token(secret: str, grant: Grant, expires_s: float) -> str:
    """A token that is good until the Unix second `expires_s`."""
    claims: dict[str, Any] = {"role": grant.role.name.lower(), "exp": int(expires_s)}
    if grant.session is not None:
        claims["session"] = grant.session
    signed = f"{_encode(json.dumps(HEADER).encode())}.{_encode(json.dumps(claims).encode())}"
    return f"{signed}.{_encode(_signature(secret, signed))}"


def read_token(secret: str, token: str, now_s: float | None = None) -> Grant:
    """What a token grants at the Unix second `now_s` (now, if None). Raises Unauthorized, Expired for one that is ours."""
    claims = _claims(secret, token)
    role, session = claims.get("role"), claims.get("session")
    expires_s = claims.get("exp")
    if not isinstance(expires_s, int | float) or isinstance(expires_s, bool):
        raise Unauthorized("the token does not say when it expires")
    if not isinstance(role, str) or role.upper() not in Role.__members__:
        raise Unauthorized("the token names no role of this server")
    if session is not None and not isinstance(session, str):
        raise Unauthorized("the token names no session")
    if not (time.time() if now_s is None else now_s) < expires_s:
        raise Expired(Role[role.upper()])
    return Grant(Role[role.upper()], session)


def _claims(secret: str, token: str) -> dict[str, Any]:
    """The claims of a token whose signature is ours. Raises Unauthorized."""
    wrong = Unauthorized("the token is not one of this server's")
    signed, _, signature = token.rpartition(".")
    if len(token) > MAX_TOKEN_CHARACTERS or signed.count(".") != 1 or not token.isascii():
        raise wrong
    try:
        # the text is compared: several texts decode to the same bytes
        if not hmac.compare_digest(signature, _encode(_signature(secret, signed))):
            raise wrong
        header, claims = (json.loads(_decode(part)) for part in signed.split("."))
    except (ValueError, RecursionError) as error:
        raise wrong from error
    if not isinstance(header, dict) or header.get("alg") != HEADER["alg"] or not isinstance(claims, dict):
        raise wrong
    return claims


def _signature(secret: str, signed: str) -> bytes:
    return hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
