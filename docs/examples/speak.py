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
from typing import Any

import aiohttp

PIECE_S = 0.5  # at 48 kHz less than the 64 KiB that a message may have


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
                was_spoken = await speak(channel, sound)
    os._exit(0 if was_spoken else 1)  # sys.exit would wait for the thread that reads, and a pipe may stay silent


async def newest_session(http: aiohttp.ClientSession) -> str:
    async with http.get("/api/sessions") as response:
        sessions = await response.json()
    if not sessions:
        async with http.post("/api/sessions") as response:
            sessions = [await response.json()]
    return str(sessions[-1]["id"])


async def speak(channel: aiohttp.ClientWebSocketResponse, sound: wave.Wave_read) -> bool:
    """Sends everything, faster than it is spoken, and waits until it has been. Whether it was.

    The server is listened to all the while: it lets go whoever leaves its pings unanswered.
    """
    sending, listening = asyncio.create_task(send(channel, sound)), asyncio.create_task(listen(channel))
    try:
        await asyncio.wait([sending, listening], return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()  # raises what kept it from being sent
        await asyncio.wait([listening])
        return listening.result()
    except asyncio.CancelledError:  # Ctrl+C
        sending.cancel()
        await channel.send_json({"type": "interrupt", "id": "stop"})
        await asyncio.wait([listening])
        return True
    finally:
        sending.cancel()


async def send(channel: aiohttp.ClientWebSocketResponse, sound: wave.Wave_read) -> None:
    while samples := await asyncio.to_thread(sound.readframes, round(PIECE_S * sound.getframerate())):
        await channel.send_bytes(samples)
    await channel.send_json({"type": "end", "id": "end"})


async def listen(channel: aiohttp.ClientWebSocketResponse) -> bool:
    """Prints what the server says until all that was queued here is over; it tells of what other programs send too. Whether
    nothing was refused, interrupted or left unsaid."""
    is_complete = was_interrupted = False
    mine: set[str] = set()  # a pause of two seconds ends an utterance, and what comes then is another one
    async for message in channel:
        said: dict[str, Any] = message.json()
        print(said, flush=True)
        if said["type"] == "error":
            return False
        if said["type"] == "queued":
            mine.add(said["clip"])
        if said.get("what") in ("ended", "interrupted") and said["clip"] in mine:
            mine.remove(said["clip"])
            was_interrupted = was_interrupted or said["what"] == "interrupted"
        is_complete = is_complete or said["type"] == "ack"
        if is_complete and not mine:
            return not was_interrupted
    return False


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
