"""The avatar speaks a wav file, or a wav that is piped in: python docs/examples/speak.py SERVER FILE [--session ID]

    espeak-ng --stdout "Good evening." | .venv/bin/python docs/examples/speak.py http://127.0.0.1:8080 -

Without --session the newest one speaks, or a new one. Ctrl+C interrupts the avatar. FLAP_TOKEN is sent to a server that asks
for a token. Everything that a text-to-speech or an agent needs is here; the protocol is in docs/protocol.md.
"""

import argparse
import asyncio
import os
import sys
import wave
from contextlib import suppress

import aiohttp

PIECE_S = 0.1


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", help="as http://127.0.0.1:8080")
    parser.add_argument("file", help="16-bit mono wav, - for standard input")
    parser.add_argument("--session")
    options = parser.parse_args()
    token = os.environ.get("FLAP_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with wave.open(sys.stdin.buffer if options.file == "-" else options.file) as sound:
        if (sound.getsampwidth(), sound.getnchannels()) != (2, 1):
            sys.exit("the file must be 16-bit and mono")
        async with aiohttp.ClientSession(options.server, headers=headers, raise_for_status=True) as http:
            session = options.session or await newest_session(http)
            print(f"watch: {options.server}/watch?session={session}", flush=True)
            url = f"/api/sessions/{session}/audio?rate_hz={sound.getframerate()}"
            async with http.ws_connect(url) as channel:
                try:
                    await speak(channel, sound)
                except asyncio.CancelledError:  # Ctrl+C
                    await channel.send_json({"type": "interrupt", "id": "stop"})
                    await listen(channel, "stop")


async def newest_session(http: aiohttp.ClientSession) -> str:
    async with http.get("/api/sessions") as response:
        sessions = await response.json()
    if not sessions:
        async with http.post("/api/sessions") as response:
            sessions = [await response.json()]
    return str(sessions[-1]["id"])


async def speak(channel: aiohttp.ClientWebSocketResponse, sound: wave.Wave_read) -> None:
    """Sends everything, faster than it is spoken, and waits until it has been."""
    while samples := sound.readframes(round(PIECE_S * sound.getframerate())):
        await channel.send_bytes(samples)
    await channel.send_json({"type": "end", "id": "end"})
    await listen(channel, "end")


async def listen(channel: aiohttp.ClientWebSocketResponse, request_id: str) -> None:
    """Prints what the server says until the utterance is over; it tells of those of other programs too.

    Where none is known to be queued, it is over when the request of that id is acknowledged.
    """
    clip = None
    async for message in channel:
        said = message.json()
        print(said, flush=True)
        clip = said["clip"] if said["type"] == "queued" else clip
        is_over = said.get("what") in ("ended", "interrupted") and said["clip"] == clip
        if said["type"] == "error" or is_over or (clip is None and said.get("id") == request_id):
            return


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
