"""The desk of one session: who directs, what they have asked for, what becomes of it, and what everybody is told."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from flap.config import FRAME_RATE_HZ
from realtime.control.commands import Command
from realtime.control.state import ControlState
from realtime.control.tickets import Applied, Event, Finished, Refused
from realtime.desk.cue_sheet import CueSheet
from realtime.desk.cue_sheet import commands as commands_of
from realtime.desk.gesture_take import GestureTake
from realtime.desk.operators import Operator, Operators
from realtime.desk.programme import Programme
from realtime.desk.show import Show
from realtime.desk.view import catalog_view, face_view, state_view
from realtime.desk.waiting import Waiting
from realtime.errors import FlapError, NotFound, TooMany
from realtime.gestures.library import GestureLibrary, check_name
from realtime.gestures.motion import Added
from realtime.protocol.directives import GesturePlay
from realtime.protocol.events import (
    Ack,
    Catalog,
    Cue,
    Cues,
    Done,
    Error,
    Hello,
    Pong,
    State,
)
from realtime.protocol.messages import (
    DIRECTIVES,
    PROTOCOL_VERSION,
    ClientMessage,
    CueGo,
    CueRun,
    CueSelect,
    DriveFrame,
    GestureRecord,
    LockRelease,
    LockTake,
    Mute,
    ObsScene,
    OverlayClear,
    OverlaySet,
    Ping,
    PresenterSet,
    SpeechStop,
    Standby,
    parse_command,
)
from realtime.protocol.typed_json import id_of, load
from realtime.telemetry.audit import AuditLog, SessionAudit
from realtime.telemetry.metrics import SessionMetrics

CHUNKS_A_FACE = 4
FLOODED = "more than 120 messages a second: those above are not read, and few of them are answered; send fewer"


class Desk:
    """Owns the operators, and what they have asked for until it is done."""

    def __init__(
        self,
        show: Show,
        programme: Programme,
        metrics: SessionMetrics,
        gestures: GestureLibrary | None = None,
        audit: SessionAudit | None = None,
    ):
        self.operators = Operators()
        self._show, self._programme, self._metrics = show, programme, metrics
        self._audit = audit or AuditLog().of_session(show.id)
        self._gestures = gestures or GestureLibrary(None)
        self.waiting = Waiting()
        self._gesture_take = GestureTake()
        self._control = ControlState()
        self._told: State | None = None
        self._chunks = 0

    # --- operators

    def join(self, name: str, address: str = "") -> Operator:
        """A new operator, who is told everything there is to know. Raises Unavailable."""
        catalog = self.catalog()  # it reads files: who cannot be told takes no place
        operator = self.operators.join(name, address)
        self._audit.note("operator_joined", **operator.who)
        operator.tell(Hello(PROTOCOL_VERSION, operator.id, self._show.id))
        operator.tell(catalog)
        operator.tell(self.state())
        operator.tell(self._cues())
        if farewell := self._show.farewell():
            operator.tell(farewell)
        self.tell_changes()
        return operator

    def leave(self, operator: Operator) -> None:
        """Their lock goes with them; what they have asked for stays."""
        self.operators.leave(operator)
        self._audit.note("operator_left", **operator.who, unread=operator.unread or None)
        self.tell_changes()

    def obey(self, operator: Operator, text: str) -> Pong | Error | None:
        """Does what one message says; the reply to its sender, if any. A refused message changes nothing."""
        now_s = time.monotonic()
        if not operator.messages.take(now_s):  # a flood costs little: it is counted, and seldom answered
            self._metrics.commands_refused += 1
            operator.unread += 1
            return Error(None, TooMany.code, FLOODED) if operator.answers.take(now_s) else None
        message_id, raw = None, None
        try:
            raw = load(text)
            message_id = id_of(raw)
            self._allow(operator, raw)
            message = parse_command(raw)
            if isinstance(message, Ping):
                return Pong(message.id, message.client_time_ms, time.monotonic() * 1000)
            if isinstance(message, DriveFrame):  # like sound: a lock decides who mixes it in
                self.drive(message, operator.id)
                return None
            self.operators.check_lock(operator.id)
            self._metrics.command_came(operator.id, message.id, now_s)
            self._do(message, operator)
            self._audit.command(operator.who, raw)
        except FlapError as error:
            self._metrics.commands_refused += 1
            if isinstance(raw, dict) and raw.get("type") != DriveFrame.type and not isinstance(error, TooMany):
                self._audit.command(operator.who, raw, error.code)
            else:
                operator.unread += 1
            return Error(message_id, error.code, str(error))
        return None

    def _allow(self, operator: Operator, raw: object) -> None:
        """Raises TooMany for an operator who sends more than their share, before anything costly is done."""
        is_frame = isinstance(raw, dict) and raw.get("type") == DriveFrame.type
        allowance = operator.frames if is_frame else operator.commands
        if not allowance.take(time.monotonic()):
            raise TooMany(f"more than {allowance.per_second:g} messages a second: send fewer")

    def _do(self, message: ClientMessage, operator: Operator) -> None:
        match message:
            case SpeechStop():
                self._show.stop_speech()
                self._acknowledge_now(message, operator)
            case LockTake():
                self.operators.lock = operator.id
                self._acknowledge_now(message, operator)
                self.tell_changes()
            case LockRelease():
                self.operators.hand_over(operator, message.to)
                self._acknowledge_now(message, operator)
                self.tell_changes()
            case PresenterSet() if message.presenter not in self._show.presenters():
                raise NotFound(
                    f"no presenter {message.presenter!r}: choose one of {', '.join(self._show.presenters())}"
                )
            case ObsScene() if self._show.obs:
                self._show.obs.switch(message.name)
                self._acknowledge_now(message, operator)
            case PresenterSet() | Mute() | Standby() | OverlaySet() | OverlayClear() | ObsScene():
                frame = self._show.next_frame
                if isinstance(message, PresenterSet):  # the first picture that is made of sound not heard yet
                    frame -= self._show.lookahead_frames
                self._tell_all(self._programme.obey(message, operator.id, frame))
            case CueSelect() | CueRun():
                self._tell_all(self._programme.obey(message, operator.id, self._show.next_frame))
                self.operators.tell(self._cues())
            case CueGo():
                cue = self._programme.next_cue(message.cue)
                self._acknowledge_now(message, operator)
                self._run(cue, operator.id)
            case GestureRecord():
                self._record_gesture(message, operator)
            case GesturePlay():
                self.waiting.put(Command(message, operator.id, self._gestures.curve(message.name)))
            case _ if isinstance(message, DIRECTIVES):
                self.waiting.put(Command(message, operator.id))
            case _:
                raise TypeError(f"{message.type} was let in at the door")

    def import_cues(self, sheet: CueSheet, operator_id: str | None, *, anew: bool) -> None:
        """Another cue sheet; its place is kept as far as it can be, unless it begins `anew`. Raises Locked when the lock is not
        this operator's."""
        self.operators.check_lock(operator_id)
        self._programme.sheet = sheet if anew else sheet.keeping_place_of(self._programme.sheet)
        self.operators.tell(self._cues())

    def export_cues(self) -> Cues:
        return self._cues()

    def _cues(self) -> Cues:
        return self._programme.sheet.message(self._show.next_frame)

    def _run(self, cue: Cue, operator_id: str) -> None:
        """Does everything that a cue says; what is refused is told to whoever runs it, to everybody when that one has gone."""
        operator = self.operators.get(operator_id) or Operator(operator_id, "")
        self._audit.note("cue", cue=cue.id, **operator.who)
        for message in commands_of(cue):
            try:
                self._do(message, operator)
            except FlapError as error:
                self._metrics.commands_refused += 1
                teller = self.operators.get(operator_id) or self.operators
                teller.tell(Error(message.id, error.code, str(error)))
        self.operators.tell(self._cues())

    def _record_gesture(self, message: GestureRecord, operator: Operator) -> None:
        if message.on:
            self._gesture_take.begin()
            self._acknowledge_now(message, operator)
        elif message.name is None:
            self._gesture_take.end()
            self._acknowledge_now(message, operator)
        else:
            check_name(message.name)  # recording goes on until there is a good one
            self._show.keep_gesture(message, operator, self._gesture_take.end())
        self.tell_changes()

    def gesture_kept(self, message: GestureRecord, operator: Operator, refusal: FlapError | None) -> None:
        """What became of a recorded gesture; the catalog is told by whoever keeps the library."""
        if refusal is None:
            self._acknowledge_now(message, operator)
        else:
            self._metrics.commands_refused += 1
            operator.tell(Error(message.id, refusal.code, str(refusal)))

    def drive(self, frame: DriveFrame, sender: str, hearing_frame: int | None = None) -> None:
        """What a driving source sees now, or at a frame. Raises Conflict when somebody else drives with it."""
        heard = self._show.hearing_frame if hearing_frame is None else hearing_frame
        if self.waiting.driven.put(frame, sender, heard, time.monotonic()):
            self._audit.note("driving", source=frame.source, sender=sender)

    # --- chunks

    def made(
        self, events: Iterable[Event], control: ControlState, added: Added, frame: int, next_frame: int = 0
    ) -> None:
        """Tells what happened in the chunk of `frame`, and what has changed, be it by itself (`hold_ms` is over).

        `next_frame` is the next to be shown: what should have been seen before, had the chunk been drawn sooner, is seen then.
        """
        self._gesture_take.add(added)
        for event in events:
            self._tell_event(event if isinstance(event, Refused) else event.not_before(next_frame))
        self._control = control
        self.tell_changes()
        self._chunks += 1
        if control.last and len(self.operators) and self._chunks % CHUNKS_A_FACE == 0:
            self.operators.tell(face_view(frame, control.last.features, control.last.pose))

    def advance(self, frame: int) -> None:
        """What the clock does by itself before the chunk of `frame`: cues whose moment has come, overlays that go."""
        self._tell_all(self._programme.advance(frame))
        while cue := self._programme.due_cue(frame):
            self._run(cue, self._programme.runs_for or "")

    def _tell_all(self, events: Sequence[Event]) -> None:
        for event in events:
            self._tell_event(event)
        if events:
            self.tell_changes()

    def _tell_event(self, event: Event) -> None:
        if isinstance(event, Applied):
            self._metrics.command_acts(event.operator, event.id, event.frame)
            self._audit.note("applied", operator=event.operator, id=event.id, frame=event.frame)
            self.operators.tell(Ack(event.id, event.frame, pts_ms(event.frame), event.operator, event.command))
        elif isinstance(event, Finished):
            done = Done(
                event.id, event.frame, pts_ms(event.frame), event.outcome, event.operator, event.by, event.by_operator
            )
            self.operators.tell(done)
        else:
            self._metrics.commands_refused += 1
            self._audit.note("refused", operator=event.operator, id=event.id, code=event.code)
            sender = self.operators.get(event.operator) or self.operators  # who asked for it may have gone since
            sender.tell(Error(event.id, event.code, event.message))

    def _acknowledge_now(self, message: ClientMessage, operator: Operator) -> None:
        """A command to the session acts from what is heard next, and is over with that."""
        frame = self._show.next_frame
        self.operators.tell(Ack(message.id, frame, pts_ms(frame), operator.id, message.type))
        self.operators.tell(Done(message.id, frame, pts_ms(frame), "ended", operator.id))

    # --- what everybody is told

    def tell_changes(self) -> None:
        """The state, to everybody, when it differs from what they were told last."""
        if not len(self.operators):
            return
        state = self.state()
        if self._told is None or replace(state, frame=self._told.frame) != self._told:
            self.operators.tell(state)
            self._told = state

    def tell_catalog(self) -> None:
        self.operators.tell(self.catalog())

    def catalog(self) -> Catalog:
        return catalog_view(self._show.presenters(), self._gestures)

    def state(self) -> State:
        recording = self._gesture_take.on
        return state_view(self._show, self._programme.on_air, self._control, self.operators, recording=recording)


def pts_ms(frame: int) -> float:
    """When a frame is shown, on the session's media clock."""
    return frame * 1000 / FRAME_RATE_HZ
