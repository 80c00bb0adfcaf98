"""Whose turn it is to draw when the renderer is too slow for everybody; the clock is told, not read."""

STARVED_S = 0.4  # without a picture; then the next chunk is drawn however late it is


class Turns:
    """Shares a renderer that is too slow: whoever came too late is owed a turn, which the next one to ask leaves out.

    On a machine so slow that every chunk comes too late, each session still has a picture every now and then.
    """

    def __init__(self) -> None:
        self._owed: list[str] = []
        self._drew_s: dict[str, float] = {}  # session -> when it last drew

    def may_draw(self, session: str, in_time: bool, now_s: float) -> bool:
        """Whether the session draws the chunk at hand."""
        starved = now_s - self._drew_s.setdefault(session, now_s) > STARVED_S
        draws = starved or self._has_turn(session, in_time)
        if draws:
            self._drew_s[session] = now_s
        return draws

    def forget(self, session: str) -> None:
        self._drew_s.pop(session, None)
        if session in self._owed:
            self._owed.remove(session)

    def _has_turn(self, session: str, in_time: bool) -> bool:
        if not in_time:
            if session not in self._owed:
                self._owed.append(session)
            return False
        if session in self._owed:
            self._owed.remove(session)
            return True
        if self._owed:
            self._owed.pop(0)
            return False
        return True
