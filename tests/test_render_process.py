"""Requests become replies, one session's failure is its own, and each is drawn as well as there is time for."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engines.bundle import Presenter
from flap import coefficients as co
from flap.config import CHUNK_S, IMAGE_SIZE
from flap.speech import LOOKAHEAD_FRAMES
from realtime.config import ConfigError
from realtime.control.commands import Command
from realtime.control.state import ControlState
from realtime.pipeline import AvatarPipeline
from realtime.protocol.messages import DriveFrame, PoseSet
from realtime.render.messages import (
    AvatarFailed,
    AvatarOpened,
    CannotOpen,
    ChunkDrawn,
    ChunkMade,
    CloseAvatar,
    MakeChunk,
    OpenAvatar,
    Opened,
    Rendering,
    Reply,
    pack,
)
from realtime.render.process import FRESH_S, MEASURED_CHUNKS, RenderWorker, _read, work
from realtime.render.quality import LONGEST_CALM_CHUNKS, Level, Quality, ladder
from realtime.render.shared_slots import PLACES, SharedSlots, create_memory
from realtime.render.turns import STARVED_S
from tests.fakes import SKIN, FakePortraitStage, FineFakePortraitStage, fake_pipeline, open_fakes

NOW_S = 100.0  # on a clock that stands still unless a test moves it


class FailsForBob(FakePortraitStage):
    def step(self, faces: co.Array, state: str, steps: int | None = None) -> tuple[np.ndarray, str]:
        if state == "bob":
            raise RuntimeError("no memory")
        return super().step(faces, state)


def worker(
    portrait: FakePortraitStage | None = None, now_s: Callable[[], float] = lambda: NOW_S
) -> tuple[RenderWorker, SharedSlots]:
    render, slots, _ = worker_and_sent(portrait, now_s)
    return render, slots


def worker_and_sent(
    portrait: FakePortraitStage | None = None, now_s: Callable[[], float] = lambda: NOW_S
) -> tuple[RenderWorker, SharedSlots, list[Reply]]:
    """Also what is told when something is drawn."""
    slots, sent = SharedSlots(create_memory(2)), list[Reply]()
    return RenderWorker(fake_pipeline(portrait), slots, sent.append, now_s), slots, sent


def make(
    session: str,
    slot: int = 0,
    *commands: Command,
    watched: bool = True,
    now_s: float = NOW_S,
    late_s: float = 0.0,
    presenter: str = "ada",
) -> MakeChunk:
    return MakeChunk(
        session, presenter, slot, 0, commands, watched, heard_s=now_s - late_s, due_s=now_s + 1 - 2 * late_s
    )


def test_a_chunk_leaves_its_pictures_in_its_own_slot() -> None:
    render, slots, sent = worker_and_sent()
    places = [(slot, place) for slot in range(2) for place in range(PLACES)]
    for slot, place in places:
        slots.pictures(slot, place, IMAGE_SIZE)[:] = 7
    assert render.answer(OpenAvatar("s", "ada", 0, ControlState())) == AvatarOpened("s")
    made = render.answer(replace(make("s", 1, Command(PoseSet("p", yaw_deg=10.0))), place=1))
    assert isinstance(made, ChunkMade)
    assert made.drawn and made.first_frame == -LOOKAHEAD_FRAMES
    assert [(drawn.session, drawn.chunk) for drawn in sent if isinstance(drawn, ChunkDrawn)] == [("s", 0)]
    assert [event.id for event in made.events] == ["p"]
    assert made.control.channels["yaw_deg"].target == 10
    assert all((slots.pictures(slot, place, IMAGE_SIZE) == 7).all() for slot, place in places[:-1])
    assert np.ptp(slots.pictures(1, 1, IMAGE_SIZE)) > 50


def test_nothing_is_drawn_for_nobody_or_too_late() -> None:
    render, _ = worker()
    render.answer(OpenAvatar("s", "ada", 0, ControlState()))
    for request in (make("s", watched=False), make("s", late_s=2.0)):
        made = render.answer(request)
        assert isinstance(made, ChunkMade) and not made.drawn


def test_commands_wait_for_a_picture_that_shows_them_and_sources_do_not() -> None:
    render, _ = worker()
    render.answer(OpenAvatar("s", "ada", 0, ControlState()))
    asked = Command(PoseSet("p", yaw_deg=10.0)), Command(DriveFrame("", "webcam", yaw_deg=5.0))
    made = render.answer(make("s", 0, *asked, late_s=2.0))
    assert isinstance(made, ChunkMade)
    assert made.commands_wait and made.events == () and "webcam" in made.control.drive
    for watched in (False, True):
        made = render.answer(make("s", 0, *asked, watched=watched))
        assert isinstance(made, ChunkMade)
        assert not made.commands_wait and [event.id for event in made.events][0] == "p"


def test_another_presenter_takes_over_and_one_who_cannot_leaves_the_one_before() -> None:
    render, slots = worker()
    render.answer(OpenAvatar("s", "ada", 0, ControlState()))
    middles = []
    for presenter in ("ada", "bob", "nobody", "nobody"):
        assert isinstance(render.answer(make("s", presenter=presenter)), ChunkMade)
        middles.append(tuple(int(v) for v in slots.pictures(0, 0, IMAGE_SIZE)[0][130, 128]))
    assert middles == [SKIN["ada"], SKIN["bob"], SKIN["bob"], SKIN["bob"]]


def test_an_avatar_is_made_again_as_its_operators_had_left_it() -> None:
    render, _ = worker()
    render.answer(OpenAvatar("old", "ada", 0, ControlState()))
    left = render.answer(make("old", 0, Command(PoseSet("p", yaw_deg=10.0))))
    assert isinstance(left, ChunkMade)
    render.answer(CloseAvatar("old"))
    render.answer(OpenAvatar("new", "ada", 0, left.control))
    made = render.answer(make("new"))
    assert isinstance(made, ChunkMade)
    assert made.control.channels["yaw_deg"].target == 10


def test_a_failure_is_a_reply_and_others_go_on() -> None:
    render, _, sent = worker_and_sent(FailsForBob())
    render.answer(OpenAvatar("a", "ada", 0, ControlState()))
    render.answer(OpenAvatar("b", "bob", 0, ControlState()))
    render.answer(make("b", presenter="bob"))
    (failed,) = sent
    assert isinstance(failed, AvatarFailed) and "no memory" in failed.reason
    assert isinstance(render.answer(make("b", presenter="bob")), AvatarFailed), "its avatar is gone"
    assert isinstance(render.answer(make("a")), ChunkMade)


def cannot_open() -> None:
    raise ConfigError("no presenter 'zed'")


def open_nobody() -> tuple[AvatarPipeline, dict[str, Presenter]]:
    return fake_pipeline(), {}


def test_networks_that_cannot_be_opened_are_a_sentence_and_the_end() -> None:
    ours, theirs = socket.socketpair()
    ours.sendall(pack(Rendering(cannot_open)))  # type: ignore[arg-type]
    thread = threading.Thread(target=work, args=(theirs, create_memory(1)))
    thread.start()
    with ours, ours.makefile("rb") as incoming:
        assert _read(incoming) == CannotOpen("no presenter 'zed'")
        assert _read(incoming) is None
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(("seconds", "measures", "size"), [(0.0, True, 512), (0.06, True, 256), (0.06, False, 512)])
def test_pictures_are_smaller_where_large_ones_are_found_to_leave_no_time(
    tmp_path: Path, seconds: float, measures: bool, size: int
) -> None:
    ours, theirs = socket.socketpair()
    opens, smaller = (partial(open_fakes, tmp_path, stage) for stage in (FineFakePortraitStage(seconds), None))
    ours.sendall(pack(Rendering(opens, measures, smaller)))
    thread = threading.Thread(target=work, args=(theirs, create_memory(1)))
    thread.start()
    with ours, ours.makefile("rb") as incoming:
        opened = _read(incoming)
        ours.shutdown(socket.SHUT_WR)
        thread.join(5)
    assert isinstance(opened, Opened)
    assert (opened.picture_size, opened.is_smaller) == (size, size == IMAGE_SIZE)


def test_freed_memory_goes_back_to_the_system_while_the_process_is_used_and_while_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handed_back = threading.Semaphore(0)
    monkeypatch.setattr("realtime.render.process.EVERY_S", 0.02)
    monkeypatch.setattr("realtime.render.process.hand_back", handed_back.release)
    ours, theirs = socket.socketpair()
    ours.sendall(pack(Rendering(open_nobody, measures=False)))
    thread = threading.Thread(target=work, args=(theirs, create_memory(1)))
    thread.start()
    with ours, ours.makefile("rb") as incoming:
        assert isinstance(_read(incoming), Opened)
        assert all(handed_back.acquire(timeout=5) for _ in range(3))
        ours.sendall(pack(OpenAvatar("s", "ada", 0, ControlState())))
        assert _read(incoming) == AvatarOpened("s")
        assert all(handed_back.acquire(timeout=5) for _ in range(3))
        ours.shutdown(socket.SHUT_WR)
        thread.join(5)
    time.sleep(0.1)
    while handed_back.acquire(blocking=False):
        pass
    assert not handed_back.acquire(timeout=0.2), "its thread has ended with it"


def test_late_pictures_are_better_than_none() -> None:
    now_s = NOW_S
    render, _ = worker(now_s=lambda: now_s)
    render.answer(OpenAvatar("s", "ada", 0, ControlState()))
    drawn = 0
    for _ in range(round(3 * STARVED_S / CHUNK_S)):
        now_s += CHUNK_S
        made = render.answer(make("s", now_s=now_s, late_s=2.0))
        assert isinstance(made, ChunkMade)
        drawn += made.drawn
    assert drawn == 2


class CountsSteps(FakePortraitStage):
    """Takes 30 ms a step."""

    steps = 2

    def __init__(self) -> None:
        self.asked: list[int | None] = []

    def step(self, faces: co.Array, state: str, steps: int | None = None) -> tuple[np.ndarray, str]:
        self.asked.append(steps)
        time.sleep(0.03 * (steps or 1))
        return super().step(faces, state)


def test_what_a_chunk_takes_is_known_before_the_first_session() -> None:
    portrait = CountsSteps()
    render, _ = worker(portrait)
    assert 30 <= render.try_out("ada") < 300
    assert set(portrait.asked) == {1, 2}


def test_what_slowed_two_steps_down_is_forgotten_once_they_are_not_drawn_any_more() -> None:
    """Else a session that went down to one step would never come back."""
    now_s = NOW_S
    render, _ = worker(CountsSteps(), lambda: now_s)
    render.try_out("ada")
    ratio = render._expected_s(Level(2)) / render._expected_s(Level(1))
    for _ in range(MEASURED_CHUNKS):
        render._measure(2, 500.0)
    assert render._expected_s(Level(2)) == 0.5
    now_s += FRESH_S + 1
    render._measure(1, 20.0)
    assert render._expected_s(Level(2)) == pytest.approx(render._expected_s(Level(1)) * ratio)
    render._measure(2, 30.0)
    assert render._expected_s(Level(2)) == 0.03, "nor do the slow ones come back with the first new one"
    now_s += FRESH_S + 1
    render._measure(2, 90.0)
    assert render._expected_s(Level(1)) == pytest.approx(0.09 / ratio), "fewer steps take less"


def test_chunks_that_miss_their_moment_get_fewer_steps_and_then_half_the_rate() -> None:
    now_s = NOW_S - 60
    render, _ = worker(CountsSteps(), lambda: now_s)
    render.answer(OpenAvatar("s", "ada", 0, ControlState()))
    now_s = NOW_S
    made = [render.answer(make("s", late_s=2.0)) for _ in range(20)]
    assert [m.level for m in made if isinstance(m, ChunkMade)][::7] == [Level(2), Level(1), Level(1, 2)]
    assert [m.left_out for m in made if isinstance(m, ChunkMade)][-4:] in ([True, False] * 2, [False, True] * 2)


def test_what_nobody_could_draw_before_the_avatar_was_there_leaves_it_on_its_level() -> None:
    render, _ = worker(CountsSteps())
    render.answer(OpenAvatar("s", "ada", 0, ControlState()))
    waited = [render.answer(make("s", late_s=2.0)) for _ in range(20)]
    assert not any(m.drawn for m in waited if isinstance(m, ChunkMade))
    made = render.answer(make("s"))
    assert isinstance(made, ChunkMade)
    assert made.drawn and made.level == Level(2)


def test_full_rate_comes_back_only_when_its_shorter_delay_leaves_the_time() -> None:
    render, _ = worker()
    render.answer(OpenAvatar("s", "ada", 0, ControlState()))
    rungs, calm = [], Quality(rung=len(ladder(1)) - 1, calm_chunks=LONGEST_CALM_CHUNKS)
    for above_room_s in (-2.0, 0.0):
        render._quality["s"] = calm
        made = render.answer(replace(make("s"), room_s=1.0, above_room_s=above_room_s))
        assert isinstance(made, ChunkMade)
        rungs.append(made.rung)
    assert rungs == [calm.rung, calm.rung - 1]


def test_another_presenter_is_not_kept_waiting_by_half_the_rate() -> None:
    render, _ = worker()
    render.answer(OpenAvatar("s", "ada", 0, ControlState()))
    render._quality["s"] = Quality(rung=len(ladder(1)) - 1)
    left_out = [render.answer(make("s")).left_out for _ in range(4)]  # type: ignore[union-attr]
    assert sorted(left_out) == [False, False, True, True], "every second chunk"
    if left_out[-1]:
        assert render.answer(make("s")).drawn  # type: ignore[union-attr]
    made = render.answer(make("s", presenter="bob"))
    assert isinstance(made, ChunkMade) and made.drawn


def test_one_who_cannot_be_shown_any_more_is_replaced_when_the_avatar_is_made_again() -> None:
    render, slots = worker()
    assert isinstance(render.answer(OpenAvatar("new", "nobody", 0, ControlState())), AvatarFailed)
    assert render.answer(OpenAvatar("s", "nobody", 0, ControlState(), "bob")) == AvatarOpened("s")
    assert isinstance(render.answer(make("s", presenter="nobody")), ChunkMade)
    assert tuple(int(v) for v in slots.pictures(0, 0, IMAGE_SIZE)[0][130, 128]) == SKIN["bob"]
