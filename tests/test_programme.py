"""What is on air changes from a frame on, and every order is told how it ended."""

from realtime.control.tickets import Applied, Finished
from realtime.desk.programme import Order, Programme
from realtime.protocol import messages as m


def happened(programme: Programme, order: Order, frame: int = 10) -> list[tuple[str, str]]:
    events = programme.obey(order, "o1", frame)
    return [
        (e.id, e.outcome if isinstance(e, Finished) else "applied") for e in events if isinstance(e, Applied | Finished)
    ]


def test_presenter_sound_standby_and_scene_are_set() -> None:
    programme = Programme("ada")
    for order in (m.PresenterSet("a", "bob"), m.Mute("b", True), m.ObsScene("d", "Close-up")):
        assert happened(programme, order) == [(order.id, "applied"), (order.id, "ended")]
    on_air = programme.on_air
    assert (on_air.presenter_id, on_air.muted, on_air.obs_scene) == ("bob", True, "Close-up")
    assert on_air.silent and not on_air.standby
    happened(programme, m.Mute("e", False))
    assert not programme.on_air.silent
    happened(programme, m.Standby("c", True))
    assert programme.on_air.silent


def test_an_overlay_goes_by_itself_is_replaced_or_is_cleared() -> None:
    programme = Programme("ada")
    assert happened(programme, m.OverlaySet("a", "One", 400)) == [("a", "applied")]
    assert programme.advance(19) == []
    assert [(e.id, e.frame) for e in programme.advance(20)] == [("a", 20)]
    assert programme.on_air.overlay is None
    happened(programme, m.OverlaySet("b", "Two"))
    assert happened(programme, m.OverlaySet("c", "Three")) == [("c", "applied"), ("b", "replaced")]
    assert happened(programme, m.OverlayClear("d")) == [("d", "applied"), ("c", "cancelled"), ("d", "ended")]
    assert programme.advance(10_000) == []
