"""The session as its desk sees it."""

from collections.abc import Iterable
from typing import Protocol

from realtime.desk.obs import ObsLink
from realtime.desk.operators import Operator
from realtime.gestures.motion import Added
from realtime.protocol.events import Draining
from realtime.protocol.messages import GestureRecord


class Show(Protocol):
    """What a desk needs to know of its session, and may ask of it."""

    id: str
    obs: ObsLink | None

    def farewell(self) -> Draining | None:
        """What is told while the server shuts down."""

    @property
    def host_connected(self) -> bool: ...
    @property
    def viewers(self) -> int: ...
    @property
    def has_speech(self) -> bool:
        """Whether a file or a stream speaks, or waits to."""

    @property
    def frame(self) -> int:
        """The one on show."""

    @property
    def next_frame(self) -> int:
        """The first whose sound has not been heard yet."""

    @property
    def hearing_frame(self) -> int:
        """The one whose sound is being heard now."""

    @property
    def lookahead_frames(self) -> int:
        """How much older than its sound a picture is that is made of it."""

    def presenters(self) -> Iterable[str]: ...
    def keep_gesture(self, message: GestureRecord, operator: Operator, motion: Added) -> None:
        """Makes a gesture of a motion and keeps it; ends with `Desk.gesture_kept`."""

    def stop_speech(self) -> None: ...
