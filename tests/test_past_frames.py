"""Past frames: the window slides, and a state that was stepped from twice keeps both futures."""

from flap.config import CHUNK_FRAMES, CONTEXT_FRAMES
from realtime.render.past_frames import ROOM_FRAMES, PastFrames

SHAPES = {"cache_key_0": (1, CONTEXT_FRAMES, 3, 2), "cache_value_0": (1, CONTEXT_FRAMES, 3, 2)}


def extend(past: PastFrames, number: float) -> PastFrames:
    room, after = past.extended()
    for frames in room.values():
        assert frames.shape == (1, CHUNK_FRAMES, 3, 2) and frames.flags.c_contiguous
        frames[...] = number
    return after


def numbers(past: PastFrames) -> list[float]:
    window = past.window()
    assert window.keys() == SHAPES.keys() and all(frames.shape == SHAPES[name] for name, frames in window.items())
    return window["cache_key_0"][0, :, 0, 0].tolist()


def test_before_the_first_frame_the_window_is_empty_and_masked() -> None:
    past = PastFrames.none(SHAPES)
    assert numbers(past) == [0.0] * CONTEXT_FRAMES and not past.mask().any()


def test_the_window_holds_the_latest_frames_however_long_the_stream() -> None:
    past, written = PastFrames.none(SHAPES), [0.0] * CONTEXT_FRAMES
    for number in range(1, 3 * ROOM_FRAMES):
        past = extend(past, number)
        written += [float(number)] * CHUNK_FRAMES
        assert numbers(past) == written[-CONTEXT_FRAMES:]


def test_the_mask_grows_with_the_frames_that_are_held() -> None:
    past = extend(PastFrames.none(SHAPES), 1.0)
    assert past.mask()[0].tolist() == [0.0] * (CONTEXT_FRAMES - CHUNK_FRAMES) + [1.0] * CHUNK_FRAMES
    for _ in range(CONTEXT_FRAMES):
        past = extend(past, 1.0)
    assert past.mask().all()


def test_two_futures_of_one_state_do_not_touch_each_other() -> None:
    start = extend(PastFrames.none(SHAPES), 1.0)
    first = extend(start, 2.0)
    second = extend(start, 3.0)
    assert numbers(first)[-1] == 2.0 and numbers(second)[-1] == 3.0
    assert numbers(extend(first, 4.0))[-3:] == [1.0, 2.0, 4.0]
    assert numbers(start)[-1] == 1.0
