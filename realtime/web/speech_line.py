"""The speech channel: a WebSocket on which a text-to-speech or an agent sends 16-bit PCM for the avatar to speak."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Protocol

import av
import numpy as np
from aiohttp import WSMsgType, web
from numpy.typing import NDArray

from flap.config import FRAME_RATE_HZ, MEDIA_RATE_HZ
from realtime.allowance import Allowance
from realtime.desk.outgoing import Outgoing
from realtime.errors import BadRequest, Conflict, FlapError, TooMany
from realtime.protocol.events import Ack, Error
from realtime.protocol.messages import encode
from realtime.protocol.speech_messages import SPEECH_REQUEST_TYPES, Queued, Ready, SpeechInterrupt, SpeechReply
from realtime.protocol.typed_json import parse
from realtime.sound.speech import MAX_WAITING_S, SpeechClip
from realtime.speaking import Speaking
from realtime.web.sockets import abort_unless_closed, send_all

RATES_HZ = (8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
SAMPLE_BYTES = 2
MAX_MESSAGE_BYTES = 65_536  # resampled within 3 ms
HEARTBEAT_S = 10.0


class Speaker(Protocol):
    """What a line needs of its session."""

    id: str

    @property
    def delay_ms(self) -> float: ...
    @property
    def next_frame(self) -> int: ...
    @property
    def speaking(self) -> Speaking: ...
    def stop_speech(self) -> None: ...
    def join_line(self, line: "SpeechLine") -> None: ...


def rate_of(text: str | None) -> int:
    """The rate that a client names. Raises BadRequest."""
    if text is None or not text.isascii() or not text.isdigit() or int(text) not in RATES_HZ:
        raise BadRequest(f"rate_hz must be one of {', '.join(map(str, RATES_HZ))}: the samples are 16-bit PCM, mono")
    return int(text)


class SpeechLine:
    """One client's utterances. A refusal ends the utterance: the rest of it is not spoken, so that nothing is heard with a hole."""

    def __init__(self, speaker: Speaker, rate_hz: int, now_s: Callable[[], float] = time.monotonic):
        self.outgoing = Outgoing()
        self._speaker, self._rate_hz, self._now_s = speaker, rate_hz, now_s
        self._pieces, self._requests = Allowance(per_second=500, burst=2000), Allowance(per_second=40, burst=40)
        self._clip: SpeechClip | None = None
        self._refuses = False  # the rest of an utterance
        self._resampler = self._new_resampler()
        self.tell(Ready(speaker.id, rate_hz, speaker.delay_ms, MAX_WAITING_S))

    def tell(self, message: SpeechReply) -> None:
        self.outgoing.put_nowait(encode(message))

    def hear(self, data: bytes) -> None:
        """Samples of the present utterance, or the first of a new one. A refusal is told once an utterance."""
        clip = self._present()
        if self._refuses:
            return
        try:
            samples = self._resample(self._read(data))
            if clip:
                self._speaker.speaking.say_more(clip, samples)
            else:
                self._clip = self._begin(samples)
        except FlapError as error:
            of_clip = f" (clip {clip.id})" if clip else ""
            self.end()
            self._refuses = True
            message = f"{error}. The rest of this utterance{of_clip} is not spoken: send end, then the next one"
            self.tell(Error(None, error.code, message))

    def _present(self) -> SpeechClip | None:
        """The utterance that samples belong to. One that was interrupted swallows the rest of its samples."""
        if self._clip and self._clip.is_complete:  # nothing came for too long
            self._clip = None
        elif self._clip and self._clip.is_over:
            self._clip, self._refuses = None, True
            self.tell(Error(None, Conflict.code, "this utterance was interrupted: send end, then the next one"))
        return self._clip

    def _begin(self, samples: NDArray[np.int16]) -> SpeechClip:
        clip = SpeechClip(secrets.token_urlsafe(6))
        clip.add(samples)
        self.tell(Queued(clip.id, round(1000 * self._speaker.speaking.say(clip))))
        return clip

    def obey(self, text: str) -> None:
        """One request, answered by `ack` or `error`."""
        try:
            if not self._requests.take(self._now_s()):
                raise TooMany(f"more than {self._requests.per_second:g} messages a second: send fewer")
            request = parse(text, SPEECH_REQUEST_TYPES)
        except FlapError as error:
            self.tell(Error(getattr(error, "command_id", None), error.code, str(error)))
            return
        if isinstance(request, SpeechInterrupt):
            self._speaker.stop_speech()
        self.end()
        self._refuses = False
        frame = self._speaker.next_frame
        self.tell(Ack(request.id, frame, frame * 1000 / FRAME_RATE_HZ, command=request.type))

    def end(self) -> None:
        """The utterance is complete; what has come is spoken to its end."""
        if self._clip:
            self._clip.add(self._resample(None))
            self._clip.is_complete = True
        self._clip = None
        self._resampler = self._new_resampler()

    def close(self) -> None:
        """Nothing more comes: the session is over."""
        self.outgoing.put_nowait(None)

    def _read(self, data: bytes) -> NDArray[np.int16]:
        if not self._pieces.take(self._now_s()):
            raise TooMany(f"more than {self._pieces.per_second:g} messages of samples a second: send larger pieces")
        if not data or len(data) % SAMPLE_BYTES:
            raise BadRequest(f"{len(data)} bytes are no whole number of 16-bit samples")
        return np.frombuffer(data, "<i2")

    def _new_resampler(self) -> av.AudioResampler:
        return av.AudioResampler("s16", "mono", MEDIA_RATE_HZ)

    def _resample(self, samples: NDArray[np.int16] | None) -> NDArray[np.int16]:
        """Samples at 48 kHz; None gives what the resampler still holds."""
        frame = None
        if samples is not None:
            frame = av.AudioFrame.from_ndarray(samples[None].astype(np.int16), format="s16", layout="mono")
            frame.sample_rate = self._rate_hz
        pieces = [piece.to_ndarray()[0] for piece in self._resampler.resample(frame)]
        return np.concatenate([np.zeros(0, np.int16), *pieces])


async def serve_speech(request: web.Request, session: Speaker) -> web.WebSocketResponse:
    """Listens to one client until either side ends; what has been sent by then is still spoken.

    Raises BadRequest for a wrong rate or when no WebSocket was asked for, Unavailable when there are too many lines.
    """
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MAX_MESSAGE_BYTES)
    if not socket.can_prepare(request).ok:
        raise BadRequest("the speech channel is a WebSocket: connect with ws://, or POST a sound file")
    line = SpeechLine(session, rate_of(request.query.get("rate_hz")))
    session.join_line(line)
    sending: asyncio.Task[None] | None = None
    try:
        await socket.prepare(request)
        sending = asyncio.create_task(send_all(socket, line.outgoing), name=f"{session.id} speech line")
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                line.hear(message.data)
            elif message.type is WSMsgType.TEXT:
                line.obey(message.data)
            await asyncio.sleep(0)  # whoever floods waits for everybody else
    except ConnectionResetError as error:  # the program has gone
        if not socket.prepared:
            raise BadRequest("the other side has gone before the channel was open") from error
    finally:
        abort_unless_closed(socket, request)
        line.end()
        session.speaking.leave(line)
        if sending:
            sending.cancel()
    return socket
