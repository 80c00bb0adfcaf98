"""What an SDP offer asks for, read before aiortc sees it."""

import re
from dataclasses import dataclass

from aiortc.codecs import CODECS
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.sdp import SessionDescription

from realtime.errors import BadRequest

MAX_SDP_BYTES = 65_536
# whoever has no candidate that we reach may still reach us, but aioice gives up on the first line at once, and a name that
# browsers put in an address's place can seldom be looked up from here and takes a second to fail
NO_HELP = re.compile(r"a=end-of-candidates\s*$|a=candidate:(\S+ ){4}\S+\.local ", re.IGNORECASE)
SENDING, RECEIVING = (None, "sendrecv", "sendonly"), (None, "sendrecv", "recvonly")  # None: nothing said (RFC 8866)
DIRECTION = re.compile(r"(?m)^a=(sendrecv|sendonly|recvonly|inactive)\s*$")
MAX_CANDIDATES = 64  # of one peer: each makes the server send to an address


@dataclass(frozen=True)
class Offer:
    """What an SDP offer is for: kinds of media ("audio", "video") by direction, and lower-case names of codecs that both
    sides have, in the form that the offer asks for."""

    sent: frozenset[str]
    received: frozenset[str]
    codecs: frozenset[str]


def patient(offer_sdp: str) -> str:
    """An offer without what would have us give up on it early, and with what is meant where it says no direction."""
    session, *media = re.split(
        r"(?m)^(?=m=)", "".join(line for line in offer_sdp.splitlines(keepends=True) if not NO_HELP.match(line))
    )
    return session + "".join(part if DIRECTION.search(part) else f"{part.rstrip()}\r\na=sendrecv\r\n" for part in media)


def read_offer(offer_sdp: str) -> Offer:
    """Raises BadRequest for what is no SDP offer, or none that can be answered as a whole (RFC 9725, 4.4)."""
    if len(offer_sdp) > MAX_SDP_BYTES:
        raise BadRequest(f"the SDP is longer than {MAX_SDP_BYTES} bytes")
    try:
        parsed = SessionDescription.parse(offer_sdp)
    except Exception as error:  # aiortc's parser has no error of its own
        raise BadRequest(f"not an SDP offer: {error}") from error
    if not parsed.media:
        raise BadRequest("not an SDP offer: it has no media")
    for media in parsed.media:
        if not media.dtls or not media.ice.usernameFragment:
            raise BadRequest("the SDP offer lacks ICE or DTLS parameters")
        if len(media.ice_candidates) > MAX_CANDIDATES:
            raise BadRequest(f"the SDP offer has more than {MAX_CANDIDATES} ICE candidates")
    kinds, middles = [media.kind for media in parsed.media], [media.rtp.muxId for media in parsed.media]
    if len(set(kinds)) < len(kinds):
        raise BadRequest("the SDP offer has more than one stream of a kind: send one for sound and one for pictures")
    first = {middle for group in parsed.group if group.semantic == "BUNDLE" for middle in group.items[:1]}
    if len(set(middles)) < len(middles) or not first <= set(middles):  # later ones may be of media that were left out
        raise BadRequest("the SDP offer's a=mid lines must differ, and a=group:BUNDLE must name them")
    return Offer(
        frozenset(media.kind for media in parsed.media if media.direction in SENDING),
        frozenset(media.kind for media in parsed.media if media.direction in RECEIVING),
        frozenset(
            codec.name.lower()
            for media in parsed.media
            for codec in find_common_codecs(CODECS.get(media.kind, []), media.rtp.codecs)
        ),
    )
