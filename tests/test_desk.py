"""The desk: who may direct, who hears what, and what is said to whoever asks for too much."""

import json
from pathlib import Path

import numpy as np
import pytest

from flap import coefficients as co
from flap.config import CHUNK_FRAMES
from realtime.control.merge import merge
from realtime.control.state import ControlState
from realtime.desk.desk import Desk
from realtime.desk.obs import ObsLink, ObsScenes
from realtime.desk.operators import Operator
from realtime.desk.programme import Programme
from realtime.protocol.events import Error
from realtime.protocol.messages import GestureRecord
from realtime.telemetry.metrics import SessionMetrics

EXAMPLES = json.loads((Path(__file__).parent / "messages.json").read_text())["client"]


class FakeShow:
    obs: ObsLink | None = None
    id, host_connected, viewers, frame, next_frame, lookahead_frames = "s", False, 0, 0, 10, 2
    hearing_frame = 10
    has_speech = False
    stopped = 0

    farewell = staticmethod(lambda: None)

    def presenters(self) -> list[str]:
        return ["ada", "bob"]

    def stop_speech(self) -> None:
        self.stopped += 1

    def keep_gesture(self, message: GestureRecord, operator: Operator, motion: np.ndarray) -> None:
        self.kept = (message.name, motion)


class Show:
    """A desk, and a renderer that makes a chunk when told to."""

    def __init__(self) -> None:
        self.show, self.metrics = FakeShow(), SessionMetrics()
        self.desk = Desk(self.show, Programme("ada"), self.metrics)
        self.control, self.frame = ControlState(), 0

    def chunk(self, count: int = 1) -> None:
        for _ in range(count):
            merged, self.control = merge(co.neutral(CHUNK_FRAMES), self.desk.waiting.take(), self.control, self.frame)
            self.desk.made(merged.events, self.control, merged.added, self.frame)
            self.frame += CHUNK_FRAMES

    def send(self, operator: Operator, type_: str, id_: str = "x", **fields: object) -> str | None:
        """The code of the error, if the answer is one."""
        reply = self.desk.obey(operator, json.dumps({"type": type_, "id": id_, **fields}))
        return reply.code if isinstance(reply, Error) else None


def heard(operator: Operator, *kinds: str) -> list[dict]:
    """Messages that wait for an operator, of some kinds."""
    queue = operator.outgoing
    messages = [json.loads(queue.get_nowait() or "{}") for _ in range(queue.qsize())]
    return [message for message in messages if message["type"] in kinds]


@pytest.fixture
def show() -> Show:
    return Show()


def test_whoever_joins_is_told_everything_and_the_others_that_they_came(show: Show) -> None:
    first = show.desk.join("Anna")
    assert [m["type"] for m in heard(first, "hello", "catalog", "state")][:3] == ["hello", "catalog", "state"]
    show.desk.join("Ben")
    assert [o["name"] for o in heard(first, "state")[-1]["operators"]] == ["Anna", "Ben"]


def test_what_one_operator_does_every_operator_hears_from_ack_to_done(show: Show) -> None:
    anna, ben = show.desk.join("Anna"), show.desk.join("Ben")
    show.send(anna, "pose.set", "turn", yaw_deg=20)
    show.chunk()
    show.send(ben, "pose.set", "back", yaw_deg=-20)
    show.chunk()
    acks = heard(ben, "ack")
    assert [(a["id"], a["operator"], a["command"], a["frame"]) for a in acks] == [
        ("turn", anna.id, "pose.set", 0), ("back", ben.id, "pose.set", 1),
    ]  # fmt: skip
    messages = heard(anna, "done", "state")
    done = next(message for message in messages if message["type"] == "done")
    assert (done["id"], done["outcome"], done["by"], done["by_operator"]) == ("turn", "replaced", "back", ben.id)
    assert messages[-1]["pose"]["yaw_deg"] == -20


def test_a_command_that_the_face_refuses_is_answered_to_its_sender_alone(show: Show) -> None:
    anna, ben = show.desk.join(""), show.desk.join("")
    show.send(anna, "look.at", "l", target="moon")
    show.chunk()
    assert [(e["id"], e["code"]) for e in heard(anna, "error")] == [("l", "not_found")]
    assert heard(ben, "error", "ack") == []
    assert show.metrics.commands_refused == 1


def test_a_lock_is_taken_handed_over_released_and_goes_with_its_owner(show: Show) -> None:
    anna, ben = show.desk.join("Anna"), show.desk.join("Ben")
    assert show.send(anna, "lock.take") is None
    assert heard(ben, "state")[-1]["lock"] == anna.id
    assert show.send(ben, "pose.set", yaw_deg=1) == "locked"
    assert show.send(ben, "lock.take") == "locked"
    assert show.send(ben, "ping", client_time_ms=1) is None
    assert show.send(anna, "lock.release", to="nobody") == "not_found"
    assert show.send(anna, "lock.release", to=ben.id) is None
    assert show.send(anna, "pose.set", yaw_deg=1) == "locked"
    assert show.send(ben, "pose.set", yaw_deg=1) is None
    show.desk.leave(ben)
    assert show.send(anna, "pose.set", yaw_deg=1) is None
    assert show.send(anna, "lock.release", to=anna.id) == "locked", "what nobody has cannot be handed over"


def test_a_flood_is_refused_by_type_and_leaves_room_for_the_others(show: Show) -> None:
    flooding, calm = show.desk.join(""), show.desk.join("")
    codes = [show.send(flooding, "blink.now", str(i)) for i in range(1000)]
    assert set(codes) == {None, "too_many"} and 50 < codes.count("too_many") < 200, "not every one of them is answered"
    accepted = len(show.desk.waiting.take())
    assert accepted <= 16 and show.metrics.commands_refused == 1000 - accepted
    assert show.send(calm, "blink.now") is None


def test_commands_that_are_given_back_come_before_newer_ones_and_none_is_lost(show: Show) -> None:
    anna, ben = show.desk.join(""), show.desk.join("")
    for i in range(16):
        assert show.send(anna, "blink.now", f"a{i}") is None
    taken = show.desk.waiting.take()
    assert show.send(ben, "blink.now", "b") is None
    show.desk.waiting.give_back(taken)
    assert show.send(ben, "blink.now", "c") == "too_many"
    show.chunk()
    show.chunk()
    assert [ack["id"] for ack in heard(ben, "ack")] == [*(f"a{i}" for i in range(16)), "b"]


def test_a_command_whose_picture_comes_late_is_acknowledged_with_the_frame_that_shows_it(show: Show) -> None:
    anna = show.desk.join("")
    show.send(anna, "pose.set", "p", yaw_deg=20)
    merged, control = merge(co.neutral(CHUNK_FRAMES), show.desk.waiting.take(), ControlState(), 4)
    show.desk.made(merged.events, control, merged.added, 4, next_frame=7)
    assert [(ack["frame"], ack["pts_ms"]) for ack in heard(anna, "ack")] == [(7, 280)]


def test_what_is_sent_to_the_session_is_acknowledged_and_done(show: Show) -> None:
    anna = show.desk.join("")
    show.send(anna, "speech.stop", "q")
    assert show.show.stopped == 1
    assert [(m["type"], m["id"], m["frame"]) for m in heard(anna, "ack", "done")] == [
        ("ack", "q", 10),
        ("done", "q", 10),
    ]


def test_operators_see_what_the_face_does(show: Show) -> None:
    anna = show.desk.join("")
    show.send(anna, "pose.set", yaw_deg=20, zoom=1.5)
    show.send(anna, "expression.set", name="happy", ease_ms=0)
    show.chunk(24)
    face = heard(anna, "face")[-1]
    assert (face["pose"]["yaw_deg"], face["pose"]["zoom"]) == pytest.approx((20, 1.5))
    assert face["shapes"]["mouthSmileLeft"] == pytest.approx(1.0)


def test_bad_messages_and_unknown_gestures_are_refused_with_their_id(show: Show) -> None:
    anna = show.desk.join("")
    for text, wanted in (("{", None), ('{"type": "pose.set", "id": "p", "yaw_deg": 99}', "p"), ("[1]", None)):
        reply = show.desk.obey(anna, text)
        assert isinstance(reply, Error) and (reply.code, reply.id) == ("bad_command", wanted)
    assert show.send(anna, "gesture.play", name="cartwheel") == "not_found"


def test_what_operators_do_is_recorded_and_nothing_else(show: Show) -> None:
    anna = show.desk.join("Anna")
    assert show.send(anna, "gesture.record", on=False, name="wave") == "conflict"
    show.send(anna, "gesture.record", on=True)
    assert show.send(anna, "gesture.record", on=True) == "conflict"
    show.send(anna, "pose.set", yaw_deg=20, hold_ms=200)
    show.chunk(20)
    assert heard(anna, "state")[-1]["recording_gesture"]
    assert show.send(anna, "gesture.record", on=False, name="nod") == "conflict", "a built-in gesture"
    assert show.send(anna, "gesture.record", on=False, name="../x") == "bad_command"
    show.chunk(4)
    assert show.send(anna, "gesture.record", on=False, name="wave") is None
    name, motion = show.show.kept
    assert name == "wave" and len(motion) == 24
    assert np.rad2deg(motion[:, 109].max()) == pytest.approx(20, abs=0.1)
    assert np.abs(motion[:, :109]).max() < 1e-6
    show.desk.gesture_kept(GestureRecord("r", False, "wave"), anna, None)
    assert heard(anna, "ack")[-1]["command"] == "gesture.record"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e["id"])
def test_every_message_of_the_protocol_is_done_or_refused_by_type(show: Show, example: dict) -> None:
    operator = show.desk.join("")
    reply = show.desk.obey(operator, json.dumps(example))
    show.chunk(4)
    answers = heard(operator, "ack", "error")
    told = reply is not None or any(answer["id"] == example["id"] for answer in answers)
    assert told or example["type"] == "drive.frame"
    assert np.isfinite(show.control.framing()).all()


def test_a_scene_of_obs_is_asked_for_where_there_is_a_link_and_shown_as_obs_has_it(show: Show) -> None:
    operator = show.desk.join("Anna")
    assert show.send(operator, "obs.scene", name="Moon") is None, "without a link whoever reads the state switches"
    assert show.desk.state().obs_scene == "Moon" and show.desk.state().obs_scenes == ()
    show.show.obs = ObsLink("ws://localhost:1", None, show.desk.tell_changes)
    assert show.send(operator, "obs.scene", name="Wide") == "unavailable"
    show.show.obs.connected, show.show.obs.scenes = True, ObsScenes(("Wide", "Product"), "Wide")
    assert show.send(operator, "obs.scene", name="Moon") == "not_found"
    assert show.send(operator, "obs.scene", name="Product") is None
    assert (show.desk.state().obs_scene, show.desk.state().obs_scenes) == ("Wide", ("Wide", "Product"))


def test_an_operator_who_cannot_be_told_what_there_is_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    show = Show()
    monkeypatch.setattr(show.show, "presenters", lambda: 1 / 0)
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            show.desk.join("anna")
    assert not len(show.desk.operators)
