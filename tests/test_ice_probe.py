"""ICE servers are asked as a browser asks them."""

import socket
import threading
from collections.abc import Iterator

import pytest
from aioice import stun

from realtime.media import ice_probe
from realtime.media.ice_probe import IceAddress, answer_ms


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("stun:example.org", IceAddress("stun", "example.org", 3478, False)),
        ("turn:example.org:3479?transport=udp", IceAddress("turn", "example.org", 3479, False)),
        ("turn:example.org?transport=tcp", IceAddress("turn", "example.org", 3478, True)),
        ("turns:example.org", IceAddress("turns", "example.org", 5349, True)),
        ("turn:[::1]:3480", IceAddress("turn", "::1", 3480, False)),
        ("stun:[::1]", IceAddress("stun", "::1", 3478, False)),
    ],
)
def test_an_ice_url_names_scheme_host_port_and_transport(url: str, address: IceAddress) -> None:
    assert IceAddress.parse(url) == address


@pytest.mark.parametrize("url", ["example.org", "http://example.org", "turn://example.org", "turn:", "stun:host:door"])
def test_what_is_no_ice_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no ICE server|no port"):
        IceAddress.parse(url)


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        yield server


def answer_once(server: socket.socket, answer) -> threading.Thread:  # type: ignore[no-untyped-def]
    def work() -> None:
        data, place = server.recvfrom(2048)
        server.sendto(answer(stun.parse_message(data)), place)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def response(request: stun.Message, **changes: bytes) -> bytes:
    return bytes(
        stun.Message(
            message_method=stun.Method.BINDING, message_class=stun.Class.RESPONSE,
            transaction_id=changes.get("transaction_id", request.transaction_id),
        )
    )  # fmt: skip


def address_of(server: socket.socket) -> IceAddress:
    return IceAddress("stun", "127.0.0.1", server.getsockname()[1], False)


def test_a_server_that_answers_a_binding_request_is_there(udp: socket.socket) -> None:
    thread = answer_once(udp, response)
    assert 0 < answer_ms(address_of(udp)) < 5000
    thread.join()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda request: b"what?", "does not speak STUN"),
        (lambda request: response(request, transaction_id=b"\0" * 12), "answered another request"),
    ],
)
def test_another_answer_is_none(udp: socket.socket, answer, message: str) -> None:  # type: ignore[no-untyped-def]
    thread = answer_once(udp, answer)
    with pytest.raises(OSError, match=message):
        answer_ms(address_of(udp))
    thread.join()


def test_silence_is_no_answer(udp: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice_probe, "TIMEOUT_S", 0.1)
    with pytest.raises(TimeoutError):
        answer_ms(address_of(udp))


def test_a_server_that_speaks_tcp_is_there_when_it_accepts_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert answer_ms(IceAddress("turns", "127.0.0.1", server.getsockname()[1], True)) > 0
