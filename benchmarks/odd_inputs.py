"""Inputs that are almost right: text, JSON and bytes with a few things wrong, the same ones for the same generator."""

import json
from random import Random
from typing import Any

Json = Any
ODD_VALUES: tuple[Json, ...] = (
    None, True, -1, 0, 2**31, 2**63, 10**400, 1e308, -0.0, float("nan"), float("inf"), "", "\x00", "\ud800", "x" * 5000, "../../etc",
    [], {}, [[]], [None] * 500, {"": {}}, "true", "1", "✓ ü 你好",
)  # fmt: skip
ODD_WORDS = (
    "", "0", "-1", "65536", "99999999999999999999", "NaN", "\x00", "é" * 200, "%n%s", "a" * 3000, "0.0.0.0", "::1", "127.0.0.1",
    "192.0.2.1", "host.invalid", "x.local", "sha-256", "actpass", "/", ":", "\t",
)  # fmt: skip
ODD_LINES = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=video 0 UDP/TLS/RTP/SAVPF", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "m=", "a=", "=", "a=group:BUNDLE 0 0 9", "a=candidate:1 1 udp 1 192.0.2.1 1 typ host", "a=candidate:1 1 tcp 1 ::1 0 typ relay",
    "a=rtpmap:96 H264/0", "a=rtpmap:300 opus/48000/2", "a=fmtp:96 profile-level-id=zzzzzz", "a=fmtp:96 apt=96", "a=rtcp-fb:* nack",
    "a=ssrc:99999999999 cname:x", "a=ssrc-group:FID 1", "a=extmap:0 x", "a=setup:holdconn", "a=fingerprint:sha-256 00:11",
    "a=mid:" + "9" * 300, "a=ice-ufrag:", "a=ice-lite", "a=inactive", "c=IN IP6 x", "o=- x", "v=1",
)  # fmt: skip


def odd_text(text: str, rng: Random) -> str:
    """Lines lost, repeated, swapped and invented, words replaced, the end cut off."""
    lines = text.splitlines() or [""]
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(lines))
        match rng.randrange(8):
            case 0:
                del lines[place]
            case 1:
                lines[place:place] = [lines[place]] * rng.choice((1, 3, 150))
            case 2:
                other = rng.randrange(len(lines))
                lines[place], lines[other] = lines[other], lines[place]
            case 3:
                lines.insert(place, rng.choice(ODD_LINES))
            case 4 | 5 | 6:
                lines[place] = _odd_word(lines[place], rng)
            case _:
                lines[place] = lines[place][: rng.randrange(len(lines[place]) + 1)]
        lines = lines or [""]
    text = rng.choice(("\r\n", "\r\n", "\r\n", "\n", "\r")).join(lines) + "\r\n"
    return text[: rng.randrange(len(text))] if rng.random() < 0.1 else text


def _odd_word(line: str, rng: Random) -> str:
    separator = rng.choice((" ", ":", "/", ";", "="))
    words = line.split(separator)
    words[rng.randrange(len(words))] = rng.choice(ODD_WORDS)
    return separator.join(words)


def odd_json(value: Json, rng: Random) -> str:
    """JSON with values, names or brackets replaced; now and then not JSON at all."""
    if rng.random() < 0.05:
        return "[" * 20_000 + "]" * rng.randrange(20_000)
    for _ in range(rng.choice((1, 1, 2, 4))):
        value = _odd_node(value, rng)
    text = json.dumps(value)
    return odd_text(text, rng) if rng.random() < 0.1 else text


def _odd_node(value: Json, rng: Random) -> Json:
    """A copy of `value` in which one node is another."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.15:
        return rng.choice(ODD_VALUES)
    if isinstance(value, list):
        place = rng.randrange(len(value))
        return [*value[:place], _odd_node(value[place], rng), *value[place + 1 :]]
    name = rng.choice(sorted(value))
    rest = {key: item for key, item in value.items() if key != name}
    match rng.randrange(6):
        case 0:
            return rest
        case 1:
            return rest | {rng.choice((name.upper(), name + " ", "__class__", "")): value[name]}
        case 2:
            return value | {rng.choice(("extra", "type", "id")): rng.choice(ODD_VALUES)}
        case _:
            return rest | {name: _odd_node(value[name], rng)}


def odd_bytes(data: bytes, rng: Random) -> bytes:
    """Bytes flipped, lengths blown up, pieces lost or repeated, most often near the beginning, where headers are."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 3, 20))):
        if not out:
            break
        place = min(rng.randrange(len(out)), rng.randrange(len(out)))
        if rng.random() < 0.5:
            place = min(place, rng.randrange(64))
        match rng.randrange(5):
            case 0 | 1:
                out[place] = rng.randrange(256)
            case 2:
                out[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff"))
            case 3:
                del out[place : place + rng.randrange(1, 200)]
            case _:
                out[place:place] = out[place : place + 64] * rng.choice((1, 20))
    return bytes(out)
