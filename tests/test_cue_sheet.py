"""A cue sheet is read with a sentence about what is wrong, stepped through, and run by its clock."""

import pytest

from realtime.desk.cue_sheet import CueSheet, commands
from realtime.errors import BadCommand, NotFound
from realtime.protocol.messages import GesturePlay, OverlaySet

NOD = {"type": "gesture.play", "name": "nod"}
RAW = {
    "name": "Monday",
    "cues": [
        {
            "id": "hello",
            "name": "Hello",
            "key": "1",
            "at_ms": 0,
            "commands": [{"type": "gesture.play", "name": "greet"}],
        },
        {"id": "price", "at_ms": 2000, "commands": [NOD, {"type": "overlay.set", "text": "20 % off"}]},
        {"id": "end", "commands": []},
    ],
}


def sheet() -> CueSheet:
    return CueSheet.read(RAW)


def test_cues_are_stepped_through_selected_and_come_to_an_end() -> None:
    now = sheet()
    assert (now.name, now.next_id, now.last_id) == ("Monday", "hello", None)
    now = now.ran(now.cue(None))
    assert (now.next_id, now.last_id) == ("price", "hello")
    now = now.ran(now.cue("end"))
    assert now.next_id is None
    with pytest.raises(NotFound, match="no further cue"):
        now.cue(None)
    assert now.select("price", 0).next_id == "price"
    with pytest.raises(NotFound, match="no cue 'x'"):
        now.select("x", 0)


def test_an_edited_sheet_goes_on_where_the_one_before_it_stood() -> None:
    before = sheet().run(True, 100).ran(sheet().cue("hello"))
    moved = CueSheet.read({**RAW, "cues": [RAW["cues"][2], RAW["cues"][1]]}).keeping_place_of(before)  # type: ignore[index]
    assert (moved.next_id, moved.last_id, moved.started_frame) == ("price", None, 100)
    other = CueSheet.read({"cues": [{"id": "else"}]}).keeping_place_of(before)
    assert (other.next_id, other.started_frame) == ("else", None)


def edited(before: CueSheet, *ids: str) -> tuple[str | None, str | None, int | None]:
    """The next cue, the last one and the clock once the sheet has these cues instead."""
    after = CueSheet.read({"cues": [{"id": cue_id} for cue_id in ids]}).keeping_place_of(before)
    return after.next_id, after.last_id, after.started_frame


def test_a_cue_added_after_the_end_is_the_next_one_and_waits_for_a_hand() -> None:
    ended = sheet().run(True, 100).ran(sheet().cue("end"))
    assert edited(ended, "hello", "price", "end", "encore", "bow") == ("encore", "end", None)
    assert edited(ended, "hello", "end") == (None, "end", None), "a sheet at its end stays there"
    assert edited(ended, "hello", "price") == (None, None, None)


def test_where_the_next_cue_is_deleted_the_one_after_it_is_next_and_nothing_begins_anew() -> None:
    greeted = sheet().run(True, 100).ran(sheet().cue("hello"))
    assert edited(greeted, "hello", "end") == ("end", "hello", 100)
    assert edited(greeted, "hello", "new", "end") == ("end", "hello", 100)
    assert edited(greeted, "hello") == (None, "hello", 100)
    assert edited(greeted, "hello", "instead") == ("instead", "hello", 100)


def test_the_clock_runs_cues_at_their_moment_from_the_next_cue_on() -> None:
    running = sheet().run(True, 100)
    assert running.due(100) == running.cues[0]
    running = running.ran(running.cues[0])
    assert running.due(149) is None
    assert running.due(150) == running.cues[1]
    assert running.ran(running.cues[1]).due(10_000) is None, "a cue without a moment waits for a hand"
    later = sheet().select("price", 0).run(True, 100)
    assert later.clock_ms(100) == 2000 and later.due(100)
    assert sheet().run(True, 100).run(False, 120).due(500) is None


def test_the_clock_never_runs_again_what_it_has_passed() -> None:
    raw = [{"id": name, "at_ms": 1000.0 * at} for at, name in enumerate("abcd")]
    passed = CueSheet.read({"cues": raw}).run(True, 0)
    for name in "abc":
        passed = passed.ran(passed.cue(name))
    assert passed.due(62) is None and passed.next_id == "d"
    chosen = passed.select("b", 62)
    assert chosen.next_id == "b" and chosen.started_frame is None and chosen.due(10_000) is None, "it waits for a hand"
    assert chosen.run(True, 100).due(100) == chosen.cue("b"), "from where the clock may be started anew"
    assert passed.select("d", 62).due(75) == passed.cue("d"), "what is still to come is run by the clock"
    again = passed.ran(passed.cue("a"))
    assert (again.last_id, again.next_id, again.due(62)) == ("a", "d", None)
    ended = passed.ran(passed.cue("d"))
    assert ended.ran(ended.cue("b")).next_id is None
    assert passed.run(False, 62).ran(passed.cue("a")).next_id == "b", "without the clock one goes on from there"


def test_commands_are_those_of_the_protocol_with_ids_that_name_their_cue() -> None:
    nod, text = commands(sheet().cue("price"))
    assert isinstance(nod, GesturePlay) and isinstance(text, OverlaySet)
    assert (nod.id, text.id) == ("price.1", "price.2")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ([], "must be an object"),
        ({"cues": 3}, "cues must be a list"),
        ({"cues": [{"name": "x"}]}, "needs id"),
        ({"cues": [{"id": "a"}, {"id": "a"}]}, "two cues have the id 'a'"),
        ({"cues": [{"id": "a", "key": "1"}, {"id": "b", "key": "1"}]}, "same key"),
        ({"cues": [{"id": "a", "commands": ["nod"]}]}, "must be an object"),
        ({"cues": [{"id": "a", "commands": [{"type": "pose.set", "yaw_deg": 90}]}]}, "cue 'a', command 1: yaw_deg"),
        ({"cues": [{"id": "a", "commands": [{"type": "cue.go"}]}]}, "cannot be part of a cue"),
        ({"cues": [{"id": "a", "commands": [NOD] * 13}]}, "more than 12"),
        ({"cues": [{"id": "a", "at_ms": -1}]}, "at_ms must lie within"),
    ],
)
def test_a_bad_sheet_is_refused_with_what_is_wrong(raw: object, sentence: str) -> None:
    with pytest.raises(BadCommand, match=sentence):
        CueSheet.read(raw)
