"""What operators ask of the session itself: who presents, sound, standby, overlay, scene of OBS, and the cue sheet."""

from dataclasses import replace

from flap.config import FRAME_RATE_HZ
from realtime.control.on_air import OnAir, Overlay
from realtime.control.tickets import Applied, Event, Finished, Outcome
from realtime.desk.cue_sheet import CueSheet
from realtime.protocol.events import Cue
from realtime.protocol.messages import (
    CueRun,
    CueSelect,
    Mute,
    ObsScene,
    OverlayClear,
    OverlaySet,
    PresenterSet,
    Standby,
)

Order = PresenterSet | Mute | Standby | OverlaySet | OverlayClear | ObsScene | CueSelect | CueRun


class Programme:
    """Owns what is on air and the cue sheet. An order acts from the frame it is given, and lasts until the next of its kind."""

    def __init__(self, presenter_id: str):
        self.on_air = OnAir(presenter_id)
        self.sheet = CueSheet()
        self.runs_for: str | None = None  # the operator who started the clock of the cue sheet

    def obey(self, order: Order, operator: str, frame: int) -> list[Event]:
        """What happened. Raises NotFound for an unknown cue; whether a presenter exists is checked before."""
        over: list[Event] = [Finished(order.id, frame, "ended", operator)]
        match order:
            case PresenterSet():
                self.on_air = replace(self.on_air, presenter_id=order.presenter)
            case Mute():
                self.on_air = replace(self.on_air, muted=order.on)
            case Standby():
                self.on_air = replace(self.on_air, standby=order.on)
            case ObsScene():
                self.on_air = replace(self.on_air, obs_scene=order.name)
            case OverlaySet():
                over = self._end_overlay(frame, "replaced", order.id, operator)
                until = None if order.hold_ms is None else frame + round(order.hold_ms / 1000 * FRAME_RATE_HZ)
                self.on_air = replace(self.on_air, overlay=Overlay(order.text, order.id, operator, until))
            case OverlayClear():
                over = [*self._end_overlay(frame, "cancelled", order.id, operator), *over]
            case CueSelect():
                self.sheet = self.sheet.select(order.cue, frame)
            case CueRun():
                self.sheet = self.sheet.run(order.on, frame)
                self.runs_for = operator
        return [Applied(order.id, frame, operator, order.type), *over]

    def advance(self, frame: int) -> list[Event]:
        """Takes away an overlay whose time is over."""
        return self._end_overlay(frame, "ended", None, None) if self.on_air.expired(frame) else []

    def next_cue(self, cue_id: str | None) -> Cue:
        """The cue that is to be run now; the one after it becomes the next. Raises NotFound."""
        cue = self.sheet.cue(cue_id)
        self.sheet = self.sheet.ran(cue)
        return cue

    def due_cue(self, frame: int) -> Cue | None:
        """A cue whose moment has come."""
        cue = self.sheet.due(frame)
        return self.next_cue(cue.id) if cue else None

    def _end_overlay(self, frame: int, outcome: Outcome, by: str | None, by_operator: str | None) -> list[Event]:
        overlay = self.on_air.overlay
        self.on_air = self.on_air.without_overlay()
        if overlay is None:
            return []
        return [Finished(overlay.command_id, frame, outcome, overlay.operator, by, by_operator)]
