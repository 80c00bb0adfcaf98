"""Everybody who is rendered, by number: people drawn from seeds, and the presenters that ship, made by hand from some of them."""

from dataclasses import dataclass, field, replace
from typing import Any

from training.render.identities import RESTING_FACE, Identity, random_identity
from training.render.scenes import Colour, Scene, random_scene, studio

FIRST_PRESENTER = 500
FRIENDLY = RESTING_FACE | {
    "mouthSmileLeft": 0.34,
    "mouthSmileRight": 0.34,
    "eyeSquintLeft": 0.06,
    "eyeSquintRight": 0.06,
}
KIND = FRIENDLY | {"browInnerUp": 0.6, "browOuterUpLeft": 0.2, "browOuterUpRight": 0.2}
WARM_GREY: tuple[Colour, ...] = ((0.80, 0.78, 0.76), (0.64, 0.61, 0.59), (0.88, 0.86, 0.83))
SAND: tuple[Colour, ...] = ((0.83, 0.77, 0.69), (0.69, 0.62, 0.54), (0.91, 0.86, 0.79))
SAGE: tuple[Colour, ...] = ((0.68, 0.74, 0.69), (0.52, 0.59, 0.54), (0.78, 0.83, 0.78))
SLATE: tuple[Colour, ...] = ((0.45, 0.51, 0.58), (0.31, 0.36, 0.42), (0.56, 0.62, 0.69))
ROSE: tuple[Colour, ...] = ((0.83, 0.72, 0.71), (0.69, 0.57, 0.56), (0.90, 0.81, 0.79))


@dataclass(frozen=True)
class PresenterSpec:
    """A presenter: the person it began as, what was chosen for it, and the wall behind it."""

    id: str
    name: str
    seed: int
    wall: tuple[Colour, ...]
    light_seed: int
    chosen: dict[str, Any] = field(default_factory=dict)


PRESENTERS = (
    PresenterSpec("mei", "Mei", 30, WARM_GREY, 4, {"cloth_tint": (0.32, 0.36, 0.55), "cloth_fade": 1.0}),
    PresenterSpec("clara", "Clara", 68, SAND, 11, {"cloth_tint": (0.16, 0.36, 0.33), "cloth_fade": 1.0}),
    PresenterSpec("samuel", "Samuel", 29, SLATE, 3, {"eyes": "brown", "resting": KIND}),
    PresenterSpec("nora", "Nora", 34, SAGE, 8, {"cloth_tint": (0.72, 0.66, 0.60), "cloth_fade": 1.0}),
    PresenterSpec("jun", "Jun", 45, WARM_GREY, 6, {"cloth_tint": (0.18, 0.24, 0.34), "cloth_fade": 1.0}),
    PresenterSpec(
        "amara",
        "Amara",
        62,
        ROSE,
        5,
        {"brow": "eyebrow007", "brow_strength": 0.75, "cloth_tint": (0.62, 0.20, 0.14), "cloth_fade": 1.0},
    ),
    PresenterSpec("erik", "Erik", 55, SLATE, 7, {"eyes": "blue", "brow": "eyebrow012", "resting": KIND}),
    PresenterSpec("lin", "Lin", 48, ROSE, 9, {"resting": KIND, "cloth_tint": (0.82, 0.80, 0.78), "cloth_fade": 1.0}),
    PresenterSpec(
        "tom",
        "Tom",
        49,
        SAGE,
        12,
        {"eyes": "green", "brow": "eyebrow002", "resting": KIND, "cloth_tint": (0.25, 0.29, 0.26), "cloth_fade": 1.0},
    ),
    PresenterSpec("ines", "Ines", 88, SAND, 10, {"eyes": "green", "cloth_tint": (0.28, 0.20, 0.36), "cloth_fade": 1.0}),
)


def identity_of(person: int) -> Identity:
    """The person of a number; raises IndexError for a presenter that does not exist."""
    if person < FIRST_PRESENTER:
        return random_identity(person)
    spec = PRESENTERS[person - FIRST_PRESENTER]
    chosen: dict[str, Any] = {"fringe": 0.0, "resting": FRIENDLY} | spec.chosen
    return replace(random_identity(spec.seed), name=spec.id, **chosen)


def scene_of(person: int, number: int) -> Scene:
    """Scene `number` of a person; number 0 is the studio, which every presenter has to itself."""
    if person >= FIRST_PRESENTER and number == 0:
        spec = PRESENTERS[person - FIRST_PRESENTER]
        return replace(studio(spec.light_seed), background=spec.wall)
    return random_scene(person, number)
