"""Tokens grant a role until they expire; whatever is not signed by this server grants nothing."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.errors import Expired, Forbidden, Unauthorized
from realtime.web.access import Grant, Grants, Role, check_origin, is_local, make_token, new_secret, read_token

SECRET = new_secret()
GRANT = Grant(Role.HOST, "show")
TOKEN = make_token(SECRET, GRANT, 1000)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_token_grants_what_it_was_made_for_until_it_expires() -> None:
    assert read_token(SECRET, TOKEN, 999.9) == GRANT
    with pytest.raises(Unauthorized, match="expired"):
        read_token(SECRET, TOKEN, 1000)


def test_another_secret_reads_nothing() -> None:
    with pytest.raises(Unauthorized, match="not one of this server's"):
        read_token(new_secret(), TOKEN, 0)


def test_a_token_without_signature_or_with_other_claims_is_refused() -> None:
    header, _, signature = TOKEN.split(".")
    raised = part({"role": "admin", "exp": 1000})
    none = part({"alg": "none", "typ": "JWT"})
    for forged in (f"{header}.{raised}.{signature}", f"{none}.{raised}.", f"{header}.{raised}", ""):
        with pytest.raises(Unauthorized):
            read_token(SECRET, forged, 0)


@given(
    st.text(max_size=300)
    | st.integers(0, len(TOKEN) - 1).map(lambda i: TOKEN[:i] + "x!"[TOKEN[i] == "x"] + TOKEN[i + 1 :])
)
def test_no_other_text_is_a_token(text: str) -> None:
    with pytest.raises(Unauthorized):
        read_token(SECRET, text, 0)


def test_roles_include_those_below_them() -> None:
    Grant(Role.OPERATOR).check(Role.HOST)
    with pytest.raises(Forbidden, match="needs the role operator; your token is for host"):
        Grant(Role.HOST).check(Role.OPERATOR)


def test_a_token_for_one_session_is_good_for_no_other() -> None:
    Grants((GRANT,)).check_session("show")
    for other in ("another", None):
        with pytest.raises(Forbidden, match="one session only"):
            Grants((GRANT,)).check_session(other)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True), ("0.0.0.0", False),
     ("192.168.1.5", False), ("localhost.example.org", False), ("", False), ("::", False)],
)  # fmt: skip
def test_only_this_machine_is_local(host: str, local: bool) -> None:
    assert is_local(host) is local


@pytest.mark.parametrize(
    "origin",
    ["https://example.org", "http://localhost:3000", "https://[2001:db8::1]:8443", "chrome-extension://abcdef"],
)
def test_an_origin_is_what_a_browser_sends(origin: str) -> None:
    check_origin(origin)


@pytest.mark.parametrize(
    "text",
    ["https://example.org/", "https://example.org/app", "example.org", "https://Example.org", "https://example.org:443",
     "http://a:80", "*", "https://a b", "https://a;script-src *", "https://user@example.org", ""],
)  # fmt: skip
def test_what_no_browser_sends_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match="not what browsers send: write the scheme"):
        check_origin(text)


def test_an_origin_that_pages_of_any_origin_may_have_is_none() -> None:
    with pytest.raises(ValueError, match="serve the page from a server"):
        check_origin("null")


def test_a_token_that_has_expired_says_what_it_was_for() -> None:
    with pytest.raises(Expired) as refused:
        read_token(SECRET, TOKEN, 1000)
    assert refused.value.rank == Role.HOST
