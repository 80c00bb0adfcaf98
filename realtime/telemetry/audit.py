"""Who did what and when, as lines of JSON in a file that is rotated: sessions, requests that change something, commands.

{"time": "2026-11-27T05:10:00.123+00:00", "event": "command", "session": "..", "operator": "o1", "name": "Anna", "address": "..", ..}
"""

import json
import logging
import queue
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import Any

KEPT_FILES = 5  # beside the one that is written
WAITING_LINES = 4096
CLOSING_S = 5.0
logger = logging.getLogger(__name__)


class _BoundedHandler(QueueHandler):
    """Drop rule: a line that finds the queue full is counted and lost; nobody waits for the disk."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _Listener(QueueListener):
    """Ends when everything before its end has been written, however full the queue is."""

    def enqueue_sentinel(self) -> None:
        self.queue.put(None)  # type: ignore[attr-defined]  # what it takes for the end


class _File(RotatingFileHandler):
    """Says once that the disk fails and goes on: lines that it does not take are counted, a file that may not be renamed grows."""

    lost = 0
    _said = False

    def doRollover(self) -> None:
        try:
            super().doRollover()
        except OSError as error:
            self._say(error)
            if self.stream is None:
                self.stream = self._open()

    def handleError(self, record: logging.LogRecord) -> None:
        self.lost += 1
        self._say(sys.exc_info()[1])

    def _say(self, error: BaseException | None) -> None:
        if not self._said:
            logger.error("the audit log %s cannot be written as it should: %r", self.baseFilename, error)
        self._said = True


class AuditLog:
    """Written in a thread of its own. Without a path it keeps nothing."""

    def __init__(self, path: Path | None = None, max_bytes: int = 10**7):
        """Raises OSError when the file cannot be written."""
        self._log = logging.Logger("audit")
        self._handler: _BoundedHandler | None = None
        self._listener: QueueListener | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _File(path, maxBytes=max_bytes, backupCount=KEPT_FILES, encoding="utf-8", errors="backslashreplace")
        waiting: queue.Queue[logging.LogRecord] = queue.Queue(WAITING_LINES)
        self._handler = _BoundedHandler(waiting)
        self._log.addHandler(self._handler)
        self._file, self._listener = file, _Listener(waiting, file)
        self._listener.start()

    @property
    def dropped(self) -> int:
        return self._handler.dropped + self._file.lost if self._handler else 0

    def note(self, event: str, **fields: Any) -> None:
        """One line; fields that are None are left out."""
        if self._handler is None:
            return
        known = {name: value for name, value in fields.items() if value is not None}
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._log.info("%s", json.dumps({"time": time, "event": event, **known}, ensure_ascii=False))

    def of_session(self, session: str) -> "SessionAudit":
        return SessionAudit(self, session)

    def close(self) -> None:
        """Writes what waits, and the last line: how many were lost. A disk that hangs is waited for CLOSING_S."""
        if self._listener is None:
            return
        if self.dropped:
            self.note("lost", lines=self.dropped)
        stopping = threading.Thread(target=self._listener.stop, name="end of the audit log", daemon=True)
        stopping.start()
        stopping.join(CLOSING_S)
        if stopping.is_alive():
            logger.error("the audit log %s is not written to its end: the disk hangs", self._file.baseFilename)
            # logging waits at the end of the process for every handler that it knows
            logging._handlerList[:] = [known for known in logging._handlerList if known() is not self._file]  # type: ignore[attr-defined]
        else:
            self._file.close()
        self._listener = self._handler = None


class SessionAudit:
    """The part of one session."""

    def __init__(self, log: AuditLog, session: str):
        self._log, self._session = log, session

    def note(self, event: str, **fields: Any) -> None:
        self._log.note(event, session=self._session, **fields)

    def command(self, who: Mapping[str, Any], raw: Mapping[str, Any], refused: str | None = None) -> None:
        """What an operator asked for, word for word, and with which code it was refused, if it was."""
        self.note("command", **who, command=dict(raw), refused=refused)
