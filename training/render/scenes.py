"""Where a person is rendered: light, background and lens, drawn from a seed."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
LONG_LENS_DEG = 12.8


@dataclass(frozen=True)
class Light:
    azimuth_deg: float
    elevation_deg: float
    colour: Colour  # linear


@dataclass(frozen=True)
class Scene:
    """`background_seed` draws what stands behind the person; 0 is a plain studio gradient of `background`."""

    lights: tuple[Light, ...]
    background: tuple[Colour, ...]  # sRGB: top, bottom, glow
    background_seed: int = 0
    field_of_view_deg: float = LONG_LENS_DEG  # the camera stands where the head keeps its size
    exposure: float = 0.62
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)  # of the head in the picture, eye-to-mouth distances to the right and up


def studio(seed: int) -> Scene:
    """A plain studio with a long lens, as presenters are photographed."""
    rng = np.random.default_rng([23, seed])
    return Scene(_studio_lights(rng), _gradient(rng))


def random_scene(person: int, number: int) -> Scene:
    """Light, background and lens of a person's scene `number`; number 0 is the plain studio."""
    if number == 0:
        return studio(person)
    rng = np.random.default_rng([29, person, number])
    lights = _studio_lights(rng) if rng.random() < 0.6 else _hard_lights(rng)
    behind = int(rng.integers(1, 2**31)) if rng.random() < 0.7 else 0
    lens_deg = LONG_LENS_DEG if rng.random() < 0.3 else float(rng.uniform(10, 26))
    shift = np.clip(rng.normal(0, (0.05, 0.06)), -0.15, 0.15)
    return Scene(
        lights, _gradient(rng), behind, lens_deg, float(rng.uniform(0.48, 0.78)), float(rng.uniform(0.93, 1.06)),
        (float(shift[0]), float(shift[1])),
    )  # fmt: skip


def background_picture(scene: Scene, size: int) -> NDArray[np.uint8]:
    """What stands behind the person, `[size, size, 3]` sRGB."""
    y, x = np.mgrid[0:size, 0:size] / size
    top, bottom, glow = (np.array(colour) for colour in scene.background)
    picture = bottom + (top - bottom) * (1 - y)[..., None]
    distance = np.hypot(x - 0.5, (y - 0.45) * 0.9)
    picture = picture + (glow - picture) * (0.6 * np.exp(-16 * distance**2))[..., None]
    if scene.background_seed:
        picture = _furnished(picture, np.random.default_rng(scene.background_seed))
    dithered = picture * 255 + np.random.default_rng(1).uniform(0, 1, picture.shape)
    return np.clip(dithered, 0, 255).astype(np.uint8)


def _furnished(wall: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Shelves, windows and lamps out of focus, as behind a seller at a desk."""
    picture, size = wall.copy(), len(wall)
    for _ in range(int(rng.integers(2, 14))):
        colour = np.clip(rng.uniform(0.05, 0.95) * (1 + rng.normal(0, 0.22, 3)), 0.02, 1)
        if rng.random() < 0.75:
            width, height = rng.uniform(0.04, 0.5, 2) * size
            left, top = rng.uniform(-0.1, 1, 2) * size
            corners = (int(left), int(top)), (int(left + width), int(top + height))
            cv2.rectangle(picture, *corners, colour.tolist(), -1)
        else:
            centre = tuple(int(v) for v in rng.uniform(0, size, 2))
            cv2.circle(picture, centre, int(rng.uniform(0.02, 0.15) * size), colour.tolist(), -1)
    noise = cv2.resize(rng.normal(0, 0.05, (24, 24)), (size, size), interpolation=cv2.INTER_CUBIC)[..., None]
    blur = float(rng.choice([0.8, 2.0, 5.0, 10.0])) * size / 256
    return np.asarray(cv2.GaussianBlur(picture + noise, (0, 0), blur), np.float64)


def _studio_lights(rng: np.random.Generator) -> tuple[Light, ...]:
    """A key, a fill, a rim and soft surroundings, varied in direction, strength and warmth."""
    side = rng.choice([-1.0, 1.0])
    warmth = rng.normal(0, 0.05)
    warm, cool = np.array([1 + warmth, 0.96, 0.9 - warmth]), np.array([0.85 - warmth, 0.92, 1.0 + warmth])
    key, fill, rim = rng.uniform(1.5, 2.1), rng.uniform(0.6, 0.9), rng.uniform(0.4, 1.2)
    key_azimuth, key_elevation = side * rng.uniform(18, 42), rng.uniform(20, 36)
    return _lights(
        [
            (key_azimuth - 9, key_elevation - 6, warm * key / 2),
            (key_azimuth + 9, key_elevation + 6, warm * key / 2),
            (-side * rng.uniform(40, 55), rng.uniform(8, 18), cool * fill),
            (side * 150.0, 35.0, np.ones(3) * rim),
            (0.0, 70.0, cool * 0.35),
            (0.0, -25.0, cool * 0.3),
            (0.0, 10.0, cool * 0.4),
        ]
    )


def _hard_lights(rng: np.random.Generator) -> tuple[Light, ...]:
    """A window, a lamp or a screen: one strong light from anywhere in front and little else."""
    tint = np.clip(1 + rng.normal(0, 0.12, 3), 0.6, 1.4)
    azimuth, elevation, strength = rng.uniform(-80, 80), rng.uniform(-20, 60), rng.uniform(1.0, 2.2)
    around = rng.uniform(0.2, 0.7)
    return _lights(
        [
            (azimuth - 5, elevation, tint * strength / 2),
            (azimuth + 5, elevation + 4, tint * strength / 2),
            (-azimuth, 10.0, np.ones(3) * rng.uniform(0.1, 0.8)),
            (rng.uniform(120, 240), 30.0, np.ones(3) * rng.uniform(0, 1.2)),
            (0.0, 70.0, np.ones(3) * around),
            (0.0, -30.0, np.ones(3) * around * 0.7),
            (0.0, 10.0, np.ones(3) * around),
        ]
    )


def _lights(rows: list[tuple[float, float, NDArray[np.float64]]]) -> tuple[Light, ...]:
    return tuple(Light(float(a), float(e), (float(c[0]), float(c[1]), float(c[2]))) for a, e, c in rows)


def _gradient(rng: np.random.Generator) -> tuple[Colour, ...]:
    base = rng.uniform(0.25, 0.85) + rng.normal(0, 0.05, 3)
    shades = (base, base * rng.uniform(0.6, 0.95), base + rng.uniform(0.0, 0.12))
    return tuple(tuple(float(np.clip(x, 0.03, 0.97)) for x in shade) for shade in shades)  # type: ignore[misc]
