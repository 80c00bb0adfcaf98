"""One avatar: its clock, its state, its peers and its operators. Nobody else touches them."""

import asyncio
import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.bundle import Presenter
from flap.config import CHUNK_FRAMES, FRAME_RATE_HZ
from realtime.control.on_air import OnAir
from realtime.desk.audience import Audience
from realtime.desk.desk import Desk
from realtime.desk.obs import ObsLink
from realtime.desk.operators import Operator
from realtime.desk.programme import Programme
from realtime.drawing import Drawing
from realtime.drive.clip_player import ClipDrive
from realtime.errors import Conflict, FlapError, NotFound, Unavailable
from realtime.gestures.library import GestureLibrary
from realtime.gestures.motion import Added, gesture_of
from realtime.media.clock import MediaClock, sleep_until
from realtime.media.compositor import Dressing
from realtime.media.delay import Bounds, delay_ms, first_budget
from realtime.media.disclosure import Disclosure
from realtime.media.hub import Hubs
from realtime.media.ice import IceSettings, announced
from realtime.media.peer import Peer
from realtime.media.playout import Playout
from realtime.media.standby import StandbyPicture
from realtime.outputs.outputs import Outputs
from realtime.places import STAFF_PLACES, Place, Places
from realtime.protocol.events import Draining, Ended
from realtime.protocol.messages import GestureRecord
from realtime.recording import Recorder
from realtime.render.link import RendererLost
from realtime.render.renderer import RemoteAvatar, Renderer
from realtime.sound.microphone import SILENT, Microphone, MicrophoneChunk, blend
from realtime.speaking import Line, Speaking
from realtime.telemetry.audit import SessionAudit
from realtime.telemetry.metrics import SessionMetrics
from realtime.telemetry.vitals import Vitals, resident_bytes, stats

STOOD_STILL_S, TAKING_IN_S = 0.03, 0.01
LEFT_OUT_S = 1.0  # chunks that are later than this are left out
Source = Literal["microphone", "spoken", "nothing"]  # of the sound that the avatar says
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SessionSettings:
    """What the server's settings are for a session."""

    max_viewers: int
    idle_s: float
    render_ms: Bounds
    steps: int
    ice: IceSettings
    disclosure: Disclosure = Disclosure()
    standby: StandbyPicture = StandbyPicture()


class Session:
    """Runs from `run()` until its owner cancels it or it has been idle for too long."""

    def __init__(
        self, session_id: str, presenter_id: str, renderer: Renderer, lookahead_ms: float, settings: SessionSettings,
        gestures: GestureLibrary, audit: SessionAudit, obs: ObsLink | None,
    ):  # fmt: skip
        self.id, self._first_presenter_id = session_id, presenter_id
        self.metrics = SessionMetrics()
        self.programme = Programme(presenter_id)
        self.obs = obs
        self.desk = Desk(self, self.programme, self.metrics, gestures, audit)
        self._audit = audit
        self._gestures = gestures
        self._renderer, self._lookahead_ms, self._settings = renderer, lookahead_ms, settings
        turns = (renderer.avatars + 1) / renderer.at_once
        budget = first_budget(renderer.draw_ms, settings.steps, turns, settings.render_ms)
        self._hubs, self._microphone = Hubs.create(renderer.picture_size), Microphone()
        self.audience = Audience(settings.max_viewers + STAFF_PLACES)
        self.ends_as = "deleted"  # why, when its owner cancels it
        self.ending = False  # puts away what it has: nobody may cancel it any more
        self._ends_s: float | None = None  # the monotonic second by which it ends, while the server shuts down
        self._places = Places(settings.max_viewers)
        self.outputs = Outputs(self._hubs, self._places, on_change=self.desk.tell_changes)
        clock = MediaClock(time.monotonic(), delay_ms(budget, lookahead_ms) / 1000)
        self._playout = Playout(self._hubs, renderer, self.metrics, settings.disclosure, clock)
        self._drawing = Drawing(
            self.desk, self._playout, self._hubs, self.metrics, budget, settings.render_ms, lookahead_ms
        )  # fmt: skip
        self.speaking = Speaking(self._playout, self.desk.operators.tell)
        self.clip = ClipDrive(self.desk.drive)
        self._peers: dict[str, Peer] = {}
        self._keeping: set[asyncio.Task[None]] = set()  # which would else be forgotten
        self._next_chunk = 0  # the one that is being heard
        self._known: tuple[str, Presenter | None] = ("", None)  # on show

    @property
    def _clock(self) -> MediaClock:
        return self._playout.clock

    @property
    def picture_size(self) -> int:
        """Pixels that its pictures are wide and high."""
        return self._hubs.picture_size

    @property
    def delay_ms(self) -> float:
        """From what is heard to what is shown, as it is now."""
        return round(1000 * self._clock.delay_s, 1)

    @property
    def host(self) -> Peer | None:
        return next((peer for peer in self._peers.values() if peer.is_host), None)

    @property
    def host_connected(self) -> bool:
        return self.host is not None

    @property
    def viewers(self) -> int:
        return len(self._places)

    @property
    def used(self) -> bool:
        """Whether somebody would miss it."""
        return bool(self._peers or self.speaking.is_used or self.outputs.used)

    def drain(self, ends_s: float) -> None:
        """Tells everybody that it ends by a monotonic second."""
        self._ends_s = ends_s
        farewell = self.farewell()
        assert farewell
        self._tell_everybody(farewell)

    def farewell(self) -> Draining | None:
        """What whoever joins is told while the server shuts down."""
        return None if self._ends_s is None else Draining(round(1000 * max(self._ends_s - time.monotonic(), 0)))

    def _tell_everybody(self, message: Draining | Ended) -> None:
        self.desk.operators.tell(message)
        self.audience.tell(message)
        self.speaking.tell(message)

    def peer(self, peer_id: str) -> Peer | None:
        return self._peers.get(peer_id)

    async def join(
        self, peer_id: str, offer_sdp: str, *, sends_microphone: bool, wants_avatar: bool,
        network: str | None = None, is_staff: bool = False,
    ) -> str:  # fmt: skip
        """The SDP answer for a new peer. Raises NotFound when the session ends, Conflict for a second host, Unavailable for a
        viewer too many (realtime/places.py), which the host never is."""
        if self.ending:
            raise NotFound("this session has ended")
        if sends_microphone and self.host:
            raise Conflict(
                "this session has a host already: stop there first (programs: DELETE /api/sessions/{id}/host), or begin another show"
            )
        place = None
        if wants_avatar:  # taken before the first await
            if sends_microphone:
                place = self._places.take_for_the_host()
            else:
                place = self._places.take(network, is_staff=is_staff)
        peer = Peer(
            self._settings.ice.servers(),
            self._hear if sends_microphone else None,
            self._hubs if wants_avatar else None,
            on_closed=lambda: self._peer_closed(peer_id, place),
        )
        self._audit.note("peer_joined", peer=peer_id, host=sends_microphone, watches=wants_avatar)
        self._peers[peer_id] = peer
        try:
            answer = await peer.answer(offer_sdp)
        except BaseException:
            await peer.close()
            raise
        self.desk.tell_changes()
        return announced(answer, self._settings.ice.announce)

    @property
    def has_speech(self) -> bool:
        return self.speaking.has_speech

    def stop_speech(self) -> None:
        """Interrupts files and streams; the microphone is heard again at once."""
        self.speaking.stop(self.next_frame)
        self.desk.tell_changes()

    def join_line(self, line: Line) -> None:
        """Raises Unavailable."""
        self.speaking.join(line, self.farewell())

    @property
    def presenter_id(self) -> str:
        return self.programme.on_air.presenter_id

    @property
    def frame(self) -> int:
        """The frame on show."""
        return max(self._clock.frame_at(time.monotonic()), 0)

    @property
    def next_frame(self) -> int:
        """The first frame whose sound is not complete yet."""
        return self._next_chunk * CHUNK_FRAMES

    @property
    def hearing_frame(self) -> int:
        """The frame whose sound is being heard now."""
        return max(self._clock.hearing_frame_at(time.monotonic()), 0)

    @property
    def lookahead_frames(self) -> int:
        return round(self._lookahead_ms * FRAME_RATE_HZ / 1000)

    def presenters(self) -> Iterable[str]:
        return self._renderer.presenters

    def keep_gesture(self, message: GestureRecord, operator: Operator, motion: Added) -> None:
        keeping = asyncio.create_task(self._keep_gesture(message, operator, motion), name=f"{self.id} keep gesture")
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)

    async def _keep_gesture(self, message: GestureRecord, operator: Operator, motion: Added) -> None:
        try:
            await asyncio.to_thread(lambda: self._gestures.save(message.name or "", gesture_of(motion)))
        except FlapError as error:
            self.desk.gesture_kept(message, operator, error)
        except OSError as error:
            self.desk.gesture_kept(message, operator, Unavailable(f"the gesture cannot be kept: {error}"))
        else:
            self.desk.gesture_kept(message, operator, None)
            self.desk.tell_catalog()

    def vitals(self) -> Vitals:
        return Vitals(
            self.viewers,
            self.delay_ms,
            queued={"chunks": self._drawing.waiting, **self._playout.queued, "video_packets": self._hubs.waiting("video"),
                    "sound_packets": self._hubs.waiting("audio"), "operator_messages": self.desk.operators.waiting},
            dropped={"video_packets": self._hubs.dropped("video"),
                     "sound_packets": self._hubs.dropped("audio"),
                     "microphone_samples": self._microphone.dropped_samples,
                     "concealed_samples": self._microphone.concealed_samples},
            sent_bytes=self._hubs.sent_bytes(),
            repeated_packets=self._hubs.repeated,
        )  # fmt: skip

    async def run(self, seed: int = 0, recorder: Recorder | None = None) -> str:
        """Lives until cancelled or idle, and is recorded if there is a `recorder`; returns why it ended."""
        reason = "failed"
        avatar = self._renderer.avatar(self.id, self._first_presenter_id, seed)
        try:
            await self._open(avatar)
            self._playout.clock = replace(self._clock, start_s=time.monotonic())
            async with asyncio.TaskGroup() as tasks:
                work = {"hear": self._listen(), "make": self._drawing.make(avatar, recorder),
                        "fetch": self._drawing.fetch(recorder), "show": self._playout.run(),
                        "report": self._report()}  # fmt: skip
                running = [tasks.create_task(job, name=f"{self.id} {name}") for name, job in work.items()]
                await self._until_idle()
                for task in running:
                    task.cancel()
            reason = "idle"
        except asyncio.CancelledError:
            reason = self.ends_as
            raise
        finally:
            self.ending = True
            self._tell_everybody(Ended(reason))
            self.desk.operators.end()
            self.audience.end()
            self.speaking.close()
            await self.outputs.close()
            for failed in await asyncio.gather(*(p.close() for p in self._peers.values()), return_exceptions=True):
                if failed:
                    logger.error("a peer did not close: %r", failed)
            avatar.close()
            if recorder:
                recorder.close()
        return reason

    async def _until_idle(self) -> None:
        left_s = time.monotonic()
        while time.monotonic() - left_s < self._settings.idle_s:
            await asyncio.sleep(min(self._settings.idle_s / 4, 1.0))
            if self.used:
                left_s = time.monotonic()

    def _hear(self, samples: NDArray[np.int16], timestamp: int) -> None:
        self._microphone.push(samples, timestamp, time.monotonic())

    async def _listen(self) -> None:
        """Cuts what is heard into chunks as the clock goes: the microphone, or a file while one is spoken."""
        dressing = Dressing()
        source: Source = "microphone"
        was_late = False
        while True:
            chunk = self._next_chunk
            late_s = await sleep_until(self._clock.heard_s((chunk + 1) * CHUNK_FRAMES))
            if late_s > LEFT_OUT_S:  # the process stood still: what it has missed is nobody's to hear any more
                self._next_chunk = self.hearing_frame // CHUNK_FRAMES
                continue
            if late_s > STOOD_STILL_S and not was_late:
                await asyncio.sleep(TAKING_IN_S)  # packets that have come meanwhile are not heard yet
            was_late = late_s > STOOD_STILL_S
            self.desk.advance(chunk * CHUNK_FRAMES)
            self.clip.advance(chunk * CHUNK_FRAMES)
            heard = self._microphone.take(self._clock.heard_s((chunk + 1) * CHUNK_FRAMES))
            on_air = self.programme.on_air
            spoken = self.speaking.take(chunk * CHUNK_FRAMES)
            sounds: dict[Source, MicrophoneChunk] = {"microphone": heard, "spoken": SILENT, "nothing": SILENT}
            if spoken is not None:
                sounds["spoken"] = MicrophoneChunk(spoken, (None,) * CHUNK_FRAMES)
            before, source = source, "nothing" if on_air.silent else "spoken" if spoken is not None else "microphone"
            heard = sounds[source] if source == before else blend(sounds[before], sounds[source])
            self._playout.put_sound(chunk * CHUNK_FRAMES, heard)
            self._playout.standby = self._settings.standby.unasked_for(self._presenter(on_air.presenter_id))
            if dressing != (dressing := self._dressing(on_air)):
                self._playout.dress(chunk * CHUNK_FRAMES, dressing)
            self._drawing.put(chunk, heard, on_air)
            self._next_chunk = chunk + 1

    def _presenter(self, presenter_id: str) -> Presenter | None:
        """Looked up when it changes: that reads files, and one who is removed meanwhile stays on show."""
        if self._known[0] != presenter_id:
            self._known = presenter_id, self._renderer.presenters.get(presenter_id)
        return self._known[1]

    def _dressing(self, on_air: OnAir) -> Dressing:
        presenter = self._presenter(on_air.presenter_id)
        overlay = on_air.overlay.text if on_air.overlay else None
        return Dressing(overlay, self._settings.standby.asked_for(presenter) if on_air.standby else None)

    async def _open(self, avatar: RemoteAvatar) -> None:
        while True:
            try:
                await avatar.open()
                return
            except RendererLost:
                continue  # the next one is waited for

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now_s, vitals = time.monotonic(), self.vitals()
            self.metrics.sent_bytes.append((now_s, vitals.network_bytes))
            if len(self.desk.operators):
                memory_bytes = resident_bytes((os.getpid(), self._renderer.process_id))
                self.desk.operators.tell(stats(self.metrics, vitals, now_s, memory_bytes))

    def _peer_closed(self, peer_id: str, place: Place | None) -> None:
        gone = self._peers.pop(peer_id, None)
        if place:
            self._places.give_back(place)
        self._audit.note("peer_left", peer=peer_id)
        if gone and gone.is_host:
            self._microphone.clear()
            logger.info("the host has gone")
        self.desk.tell_changes()
