"""The log: a line of text or of JSON each, with the session that it is about."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]
TEXT = "%(asctime)s %(levelname)s %(name)s %(of_session)s%(message)s"
_SESSION: ContextVar[str | None] = ContextVar("session", default=None)


@contextmanager
def about(session_id: str | None) -> Iterator[None]:
    """What is logged within, and by tasks that begin within, is about this session."""
    token = _SESSION.set(session_id)
    try:
        yield
    finally:
        _SESSION.reset(token)


class JsonLines(logging.Formatter):
    """Time in UTC, level, logger, message; the session and the exception's trace if there are any."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname, "logger": record.name, "message": record.getMessage(),
        }  # fmt: skip
        if session := getattr(record, "session", None):
            line["session"] = session
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """A line a message, whatever strangers put into what it quotes; a trace has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message, record.of_session = _one_line(record.message), _one_line(getattr(record, "of_session", ""))
        return super().formatMessage(record)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _note_session(record: logging.LogRecord) -> bool:
    session = _SESSION.get()
    record.session, record.of_session = session, f"[session {session}] " if session else ""
    return True


def set_up(log_format: LogFormat = "text") -> None:
    """Of this process; the log goes to standard error."""
    handler = logging.StreamHandler()
    handler.addFilter(_note_session)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines(TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
