"""aiortc as the browser or the player at the other end of a `Peer`."""

import asyncio

from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtcdtlstransport import RTCCertificate

from realtime.media.peer import Peer


async def viewer(certificate: RTCCertificate | None = None) -> RTCPeerConnection:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    assert hasattr(connection, "_RTCPeerConnection__certificates")
    if certificate:
        connection._RTCPeerConnection__certificates = [certificate]
    connection.addTransceiver("video", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    return connection


async def connected(peer: Peer, seconds: float = 5) -> bool:
    for _ in range(int(seconds / 0.05)):
        if peer.state in ("connected", "failed", "closed"):
            break
        await asyncio.sleep(0.05)
    return peer.state == "connected"


async def offer_of(*kinds: str, direction: str = "recvonly") -> tuple[RTCPeerConnection, str]:
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind in kinds:
        client.addTransceiver(kind, direction=direction)
    await client.setLocalDescription(await client.createOffer())
    return client, client.localDescription.sdp
