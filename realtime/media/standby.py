"""What viewers see while there is no avatar to see: an operator has asked for it, or the renderer is gone."""

from dataclasses import dataclass
from pathlib import Path

from engines.bundle import Presenter
from realtime.media.compositor import Dressing
from realtime.media.disclosure import TEXTS as LANGUAGES

STANDBY_S = 1.5  # without a new picture while somebody watches; a renderer that has died is usually back before
TEXTS = {
    "en": "One moment, please", "zh": "请稍候", "de": "Einen Moment bitte", "fr": "Un instant, s'il vous plaît",
    "es": "Un momento, por favor", "pt": "Um momento, por favor", "it": "Un momento, prego",
    "ja": "少々お待ちください", "ko": "잠시만 기다려 주세요",
}  # fmt: skip
assert TEXTS.keys() == LANGUAGES.keys()


@dataclass(frozen=True)
class StandbyPicture:
    """The portrait of whoever presents, or a `picture` of one's own; `text` stands over it when the renderer is gone."""

    text: str = TEXTS["en"]
    picture: Path | None = None

    def asked_for(self, presenter: Presenter | None) -> Path | None:
        return self.picture or (presenter.portrait_path if presenter else None)

    def unasked_for(self, presenter: Presenter | None) -> Dressing:
        return Dressing(self.text or None, self.asked_for(presenter))
