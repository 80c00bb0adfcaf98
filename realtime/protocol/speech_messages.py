"""What is said on a speech channel beside the sound: one frozen class a message (docs/protocol.md has them as a table)."""

from dataclasses import dataclass
from typing import ClassVar, get_args

from realtime.protocol.directives import Id
from realtime.protocol.events import Ack, Draining, Ended, Error, Speech


@dataclass(frozen=True)
class SpeechEnd:
    """The utterance is complete. What is sent from now on begins another."""

    type: ClassVar[str] = "end"
    id: Id


@dataclass(frozen=True)
class SpeechInterrupt:
    """Silences the avatar at once and forgets everything that waits to be spoken, files too. What is sent from now on begins
    another utterance."""

    type: ClassVar[str] = "interrupt"
    id: Id


@dataclass(frozen=True)
class Ready:
    """The first message: samples may come, and how many seconds of them may wait."""

    type: ClassVar[str] = "ready"
    session: str
    rate_hz: int
    delay_ms: float
    most_waiting_s: float


@dataclass(frozen=True)
class Queued:
    """An utterance has begun to come. It is heard in `begins_in_ms` at the earliest: that much is in line before it."""

    type: ClassVar[str] = "queued"
    clip: str
    begins_in_ms: float


SPEECH_REQUESTS = (SpeechEnd, SpeechInterrupt)
SPEECH_REQUEST_TYPES = {kind.type: kind for kind in SPEECH_REQUESTS}
SpeechReply = Ready | Queued | Ack | Speech | Error | Draining | Ended
SPEECH_REPLIES = get_args(SpeechReply)
