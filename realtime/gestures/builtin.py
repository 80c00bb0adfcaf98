"""The gestures that come with the product."""

from realtime.gestures.curve import GestureCurve, Keyframes


def _held(value: float, from_s: float, to_s: float) -> Keyframes:
    return (from_s, value), (to_s, value)


def _both(name: str, keyframes: Keyframes) -> dict[str, Keyframes]:
    return {f"{name}Left": keyframes, f"{name}Right": keyframes}


_LAUGH_SHAKES = tuple((0.3 + 0.16 * i, 5.0 if i % 2 else -1.0) for i in range(7))
GESTURES: dict[str, GestureCurve] = {
    "nod": GestureCurve(1.15, {"pitch_deg": ((0.2, 8.5), (0.46, -5.5), (0.72, 6.0), (0.94, -2.0))}),
    "shake": GestureCurve(1.5, {"yaw_deg": ((0.22, 9.0), (0.52, -10.0), (0.82, 9.0), (1.12, -6.0))}),
    "tilt": GestureCurve(1.8, {"roll_deg": _held(9.0, 0.4, 1.3), "yaw_deg": _held(-3.0, 0.4, 1.3)}),
    "bow": GestureCurve(1.9, {"pitch_deg": _held(18.0, 0.6, 1.1), **_both("eyeBlink", _held(0.5, 0.5, 1.2))}),
    "lean_in": GestureCurve(
        2.2,
        {"zoom": _held(0.18, 0.5, 1.6), "y": _held(0.03, 0.5, 1.6), "pitch_deg": _held(4.0, 0.5, 1.6),
         "browInnerUp": _held(0.25, 0.4, 1.4)},
    ),
    "greet": GestureCurve(
        2.0,
        {"pitch_deg": ((0.3, -4.0), (0.65, 8.0), (1.0, 0.5)), "roll_deg": _held(-4.0, 0.5, 1.5), "browInnerUp": ((0.3, 0.6), (0.8, 0.1)),
         **_both("mouthSmile", _held(0.7, 0.5, 1.5)), **_both("cheekSquint", _held(0.3, 0.5, 1.5))},
    ),
    "look_around": GestureCurve(
        3.4, {"yaw_deg": (*_held(20.0, 0.6, 1.1), *_held(-20.0, 2.0, 2.6)), "pitch_deg": (*_held(-2.0, 0.6, 1.1), (1.5, 3.0), (2.0, 0.0))},
    ),
    "glance_right": GestureCurve(  # right in the picture, as viewers see it
        1.3, {"yaw_deg": _held(9.0, 0.3, 0.9), "eyeLookOutLeft": _held(0.6, 0.2, 0.9), "eyeLookInRight": _held(0.6, 0.2, 0.9)}
    ),
    "glance_left": GestureCurve(
        1.3, {"yaw_deg": _held(-9.0, 0.3, 0.9), "eyeLookOutRight": _held(0.6, 0.2, 0.9), "eyeLookInLeft": _held(0.6, 0.2, 0.9)}
    ),
    "wink": GestureCurve(
        0.7, {"eyeBlinkLeft": _held(1.0, 0.16, 0.36), "cheekSquintLeft": _held(0.6, 0.16, 0.4),
         "mouthSmileLeft": _held(0.4, 0.2, 0.45), "roll_deg": ((0.3, 3.0),)},
    ),
    "raise_brows": GestureCurve(1.0, {"browInnerUp": _held(0.8, 0.2, 0.65), **_both("browOuterUp", _held(0.7, 0.2, 0.65))}),
    "surprised": GestureCurve(
        1.6,
        {"browInnerUp": _held(0.9, 0.15, 1.0), **_both("browOuterUp", _held(0.8, 0.15, 1.0)), **_both("eyeWide", _held(0.7, 0.12, 0.9)),
         "pitch_deg": _held(-5.0, 0.2, 0.9), "jawOpen": _held(0.25, 0.2, 0.6)},
    ),
    "think": GestureCurve(
        2.4,
        {"yaw_deg": _held(-8.0, 0.5, 1.8), "pitch_deg": _held(-6.0, 0.5, 1.8), "roll_deg": _held(4.0, 0.5, 1.8),
         "eyeLookUpLeft": _held(0.5, 0.3, 1.8), "eyeLookUpRight": _held(0.5, 0.3, 1.8), **_both("browDown", _held(0.3, 0.4, 1.7))},
    ),
    "laugh": GestureCurve(
        1.9,
        {"pitch_deg": _LAUGH_SHAKES, **_both("mouthSmile", _held(0.9, 0.25, 1.4)), **_both("cheekSquint", _held(0.6, 0.3, 1.4)),
         **_both("eyeSquint", _held(0.5, 0.3, 1.4)), "jawOpen": _held(0.22, 0.3, 1.2)},
    ),
}  # fmt: skip
