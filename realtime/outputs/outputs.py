"""What carries one session's avatar elsewhere; a session has one of these."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from realtime.errors import NotFound, TooMany
from realtime.media.encoder import SoundCodec, VideoCodec
from realtime.media.hub import Hubs
from realtime.outputs.tap import Tap
from realtime.places import Places

MAX_OUTPUTS = 8
OutputState = Literal["starting", "live", "reconnecting", "failed"]
logger = logging.getLogger(__name__)


class OutputError(Exception):
    """An output cannot go on; the message is for operators."""


@dataclass
class Report:
    """How an output is doing; written by the output alone."""

    state: OutputState = "starting"
    detail: str | None = None  # why it has failed, or connects again

    frames: int = 0  # sent since it began

    def live(self) -> None:
        self.state, self.detail = "live", None


class Output(Protocol):
    """Sends the avatar until it is cancelled; `label` says where to."""

    kind: str
    label: str

    async def run(self, hubs: Hubs, report: Report) -> None: ...


@dataclass(frozen=True)
class Running:
    id: str
    output: Output
    task: asyncio.Task[None]
    report: Report = field(default_factory=Report)

    def describe(self) -> dict[str, str | int | None]:
        report = self.report
        return {
            "id": self.id, "kind": self.output.kind, "target": self.output.label, "state": report.state,
            "detail": report.detail, "frames": report.frames,
        }  # fmt: skip


class Outputs:
    """Owns the outputs that were asked for and the taps of those who watch by HTTP."""

    def __init__(self, hubs: Hubs, places: Places, on_change: Callable[[], None]):
        self._hubs, self._places, self._on_change = hubs, places, on_change
        self._running: dict[str, Running] = {}
        self._closed = False
        self._taps: set[Tap] = set()

    @property
    def used(self) -> bool:
        """Whether somebody would miss the avatar; an output that has failed would not."""
        return bool(self._taps) or any(not running.task.done() for running in self._running.values())

    @contextmanager
    def watch(
        self, video: VideoCodec, sound: SoundCodec | None, network: str | None = None, is_staff: bool = False
    ) -> Iterator[Tap]:
        """A tap for one who watches by HTTP. Raises NotFound when the session has ended, Unavailable when there are too many."""
        if self._closed:
            raise NotFound("this session has ended")
        place = self._places.take(network, is_staff=is_staff)
        tap = Tap(self._hubs, video, sound)
        self._taps.add(tap)
        self._on_change()
        try:
            yield tap
        finally:
            tap.close()
            self._taps.discard(tap)
            self._places.give_back(place)
            self._on_change()

    def start(self, output: Output) -> Running:
        """Begins to send; the caller sees in its report how that goes. Raises TooMany, NotFound when the session has ended."""
        if self._closed:
            raise NotFound("this session has ended")
        if len(self._running) >= MAX_OUTPUTS:
            raise TooMany(f"a session has at most {MAX_OUTPUTS} outputs: end one first")
        output_id, report = secrets.token_urlsafe(6), Report()
        task = asyncio.create_task(self._run(output, report), name=f"output {output_id}")
        self._running[output_id] = running = Running(output_id, output, task, report)
        return running

    async def _run(self, output: Output, report: Report) -> None:
        try:
            await output.run(self._hubs, report)
        except OutputError as error:
            logger.warning("the output to %s ended: %s", output.label, error)
            report.state, report.detail = "failed", str(error)
        except Exception as error:  # an output's failure is not the session's
            logger.exception("the output to %s failed", output.label)
            report.state, report.detail = "failed", str(error)

    def list(self) -> list[Running]:
        return list(self._running.values())

    async def stop(self, output_id: str) -> None:
        """Raises NotFound."""
        running = self._running.pop(output_id, None)
        if running is None:
            raise NotFound("no such output: it has ended or never was")
        running.task.cancel()
        await asyncio.wait([running.task])

    async def close(self) -> None:
        """Ends everything, all at the same time; those who watch by HTTP see the end of the stream."""
        self._closed = True
        for tap in list(self._taps):
            tap.close()
        tasks = [running.task for running in self._running.values()]
        self._running.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
