"""What goes out besides the face, as operators want it: who presents, whether there is sound, what stands over the picture."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Overlay:
    """A text over the picture; `command_id` names the command that put it there."""

    text: str
    command_id: str
    operator: str
    until_frame: int | None = None


@dataclass(frozen=True)
class OnAir:
    """A value, looked at once a chunk."""

    presenter_id: str
    muted: bool = False
    standby: bool = False
    overlay: Overlay | None = None
    obs_scene: str | None = None

    @property
    def silent(self) -> bool:
        return self.muted or self.standby

    def expired(self, frame: int) -> Overlay | None:
        """The overlay whose time is over."""
        overlay = self.overlay
        return overlay if overlay and overlay.until_frame is not None and frame >= overlay.until_frame else None

    def without_overlay(self) -> "OnAir":
        return replace(self, overlay=None)
