"""How lively speech moves the face: gains on its motion, before any operator's layer, that leave shut lips shut."""

from dataclasses import dataclass, field, replace

import numpy as np

from flap import coefficients as co
from realtime.control.tween import Tween, resting
from realtime.face import features as ft

GAINED = ("jaw", "lips", "brows", "head")
STYLES: dict[str, dict[str, float]] = {
    "neutral": {},
    "energetic": {"jaw": 1.15, "lips": 1.15, "brows": 1.8, "head": 1.6},
    "calm": {"jaw": 0.85, "lips": 0.9, "brows": 0.6, "head": 0.5},
    "wide_mouth": {"jaw": 1.35, "lips": 1.25},
}
EASE_MS = 400.0
# lips that meet (p b m, f v) meet in every style
CLOSING = ("mouthClose", "mouthPressLeft", "mouthPressRight", "mouthRollLower", "mouthRollUpper")
_CLOSING = np.array([ft.UNIT_INDEX[name] for name in CLOSING])


@dataclass(frozen=True)
class StyleLayer:
    """The named style, the operator's gains on top of it, and their product on its way."""

    name: str = "neutral"
    gains: dict[str, float] = field(default_factory=lambda: dict.fromkeys(GAINED, 1.0))
    moving: dict[str, Tween] = field(default_factory=lambda: dict.fromkeys(GAINED, resting(1.0)))

    def set(self, name: str | None, gains: dict[str, float], frame: int) -> "StyleLayer":
        """What is not given stays as it is."""
        style = replace(self, name=name or self.name, gains={**self.gains, **gains})
        named = STYLES[style.name]
        ends = {gained: named.get(gained, 1.0) * style.gains[gained] for gained in GAINED}
        return replace(style, moving={g: self.moving[g].to(end, frame, EASE_MS) for g, end in ends.items()})

    def apply(self, features: ft.Features, rotation: co.Array, frame: int) -> tuple[ft.Features, co.Array]:
        """Features `[109]` and rotation `[3]` of speech and idle motion, made livelier or calmer."""
        now = {gained: np.float32(tween.at(frame)) for gained, tween in self.moving.items()}
        if all(gain == 1 for gain in now.values()):
            return features, rotation
        gains = ft.per_group({name: float(gain) for name, gain in now.items() if name != "head"}, 1.0)
        gains[_CLOSING] = 1.0
        return features * gains, rotation * now["head"]
