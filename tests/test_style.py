"""Styles make speech livelier or calmer, smoothly, and never open lips that are shut."""

import numpy as np
import pytest

from flap import coefficients as co
from realtime.control.style import CLOSING, STYLES, StyleLayer
from realtime.face import features as ft
from realtime.protocol.directives import STYLES as NAMES

SPEECH = co.from_arkit({"jawOpen": 0.4, "mouthFunnel": 0.3, "browInnerUp": 0.2}, co.rotation_from_degrees(4, 2, 1))


def styled(layer: StyleLayer, face: co.Array = SPEECH, frame: int = 100) -> co.Array:
    return ft.to_face(*layer.apply(ft.of_face(face), face[co.ROTATION], frame))


def test_every_style_of_the_protocol_is_there_and_neutral_changes_nothing() -> None:
    assert tuple(STYLES) == NAMES
    assert np.allclose(styled(StyleLayer()), SPEECH, atol=1e-6)


@pytest.mark.parametrize(("name", "livelier"), [("energetic", True), ("calm", False)])
def test_a_named_style_changes_jaw_lips_brows_and_head(name: str, livelier: bool) -> None:
    face = styled(StyleLayer().set(name, {}, 0))
    for index in (co.JAW.start, co.EXPRESSION_INDEX["mouthFunnel"], co.EXPRESSION_INDEX["browInnerUp"], co.YAW):
        assert bool(face[index] > SPEECH[index]) is livelier


def test_gains_multiply_the_named_style_and_what_is_left_out_stays() -> None:
    layer = StyleLayer().set("wide_mouth", {"brows": 0.0}, 0).set(None, {"jaw": 0.5}, 40)
    assert (layer.name, layer.gains["brows"], layer.gains["jaw"]) == ("wide_mouth", 0.0, 0.5)
    face = styled(layer)
    assert face[co.JAW.start] == pytest.approx(SPEECH[co.JAW.start] * 1.35 * 0.5)
    assert face[co.EXPRESSION_INDEX["browInnerUp"]] == 0


@pytest.mark.parametrize("name", NAMES)
def test_lips_that_meet_meet_in_every_style(name: str) -> None:
    shut = co.from_arkit(dict.fromkeys(CLOSING, 0.8))
    assert np.allclose(styled(StyleLayer().set(name, {"lips": 0.3}, 0), shut), shut, atol=1e-6)


def test_a_change_of_style_never_jumps() -> None:
    layer = StyleLayer().set("energetic", {"jaw": 2.0}, 0)
    jaws = [styled(layer, frame=frame)[co.JAW.start] for frame in range(-1, 20)]
    assert np.abs(np.diff(jaws)).max() < 0.35 * (jaws[-1] - jaws[0])
