"""Who is rendered: every choice that makes one person, drawn from a seed, and the light and background around them."""

from dataclasses import dataclass, field

import numpy as np

FEMALE_SKINS = ("young_lightskinned_female_diffuse2", "young_lightskinned_female_diffuse3")
MIDDLE_FEMALE_SKINS = ("middleage_lightskinned_female_diffuse2",)
MALE_SKINS = tuple(f"young_lightskinned_male_diffuse{suffix}" for suffix in ("", "2", "3"))
MIDDLE_MALE_SKINS = ("middleage_lightskinned_male_diffuse", "middleage_lightskinned_male_diffuse2")
FEMALE_CLOTHES = ("female_casualsuit01", "female_elegantsuit01", "female_sportsuit01", "male_casualsuit04")
MALE_CLOTHES = tuple(f"male_casualsuit0{n}" for n in (2, 3, 4, 5, 6)) + ("male_elegantsuit01", "male_worksuit01")
EYE_COLOURS = ("blue", "bluegreen", "brown", "brownlight", "green", "grey", "ice", "lightblue")
HAIR_COLOURS = (
    (0.020, 0.016, 0.014), (0.035, 0.026, 0.022), (0.06, 0.045, 0.035), (0.11, 0.065, 0.04), (0.18, 0.10, 0.055),
    (0.30, 0.19, 0.10), (0.20, 0.07, 0.03), (0.16, 0.15, 0.145),
)  # fmt: skip
FACE_TARGETS = (
    ("head/head-oval", "head/head-round"), ("head/head-square", "head/head-invertedtriangular"),
    ("head/head-fat-incr", "head/head-fat-decr"), ("chin/chin-width-incr", "chin/chin-width-decr"),
    ("chin/chin-height-incr", "chin/chin-height-decr"), ("chin/chin-prominent-incr", "chin/chin-prominent-decr"),
    ("nose/nose-scale-vert-incr", "nose/nose-scale-vert-decr"), ("nose/nose-scale-horiz-incr", "nose/nose-scale-horiz-decr"),
    ("nose/nose-hump-incr", "nose/nose-hump-decr"), ("nose/nose-point-up", "nose/nose-point-down"),
    ("nose/nose-width2-incr", "nose/nose-width2-decr"), ("mouth/mouth-scale-horiz-incr", "mouth/mouth-scale-horiz-decr"),
    ("mouth/mouth-upperlip-volume-incr", "mouth/mouth-upperlip-volume-decr"),
    ("mouth/mouth-lowerlip-volume-incr", "mouth/mouth-lowerlip-volume-decr"), ("mouth/mouth-angles-up", "mouth/mouth-angles-up"),
    ("forehead/forehead-scale-vert-incr", "forehead/forehead-scale-vert-decr"),
)  # fmt: skip
# MakeHuman's neutral faces look slightly cross
RESTING_FACE = {
    "mouthSmileLeft": 0.2,
    "mouthSmileRight": 0.2,
    "browInnerUp": 0.3,
    "browOuterUpLeft": 0.1,
    "browOuterUpRight": 0.1,
}
PAIRED_EYE_TARGETS = (
    ("eye-scale-incr", "eye-scale-decr"), ("eye-trans-in", "eye-trans-out"), ("eye-corner2-up", "eye-corner2-down"),
    ("eye-height2-incr", "eye-height2-decr"),
)  # fmt: skip


@dataclass(frozen=True)
class Light:
    azimuth_deg: float
    elevation_deg: float
    colour: tuple[float, float, float]  # linear


@dataclass(frozen=True)
class Identity:
    """One person in one place. `targets()` and `pieces()` name what the assets must supply."""

    name: str
    races: dict[str, float]  # shares of asian, caucasian, african
    male: float  # 0..1
    old: float  # 0 is 25 years, 1 is 90
    muscle: float
    weight: float
    skin: str
    skin_tint: tuple[float, float, float]
    hair: str | None
    hair_colour: tuple[float, float, float]
    brow: str
    lashes: str
    eyes: str
    teeth: str
    clothes: str
    cloth_tint: tuple[float, float, float]
    background: tuple[tuple[float, float, float], ...]  # sRGB: top, bottom, glow
    lights: tuple[Light, ...]
    face: dict[str, float] = field(default_factory=dict)
    resting: dict[str, float] = field(default_factory=lambda: dict(RESTING_FACE))

    def targets(self) -> dict[str, float]:
        """Morph targets of the face at rest."""
        out: dict[str, float] = {}
        genders, ages = {"female": 1 - self.male, "male": self.male}, {"young": 1 - self.old, "old": self.old}
        muscles = {"minmuscle": max(0.0, 1 - 2 * self.muscle), "maxmuscle": max(0.0, 2 * self.muscle - 1)}
        muscles["averagemuscle"] = 1 - sum(muscles.values())
        weights = {"minweight": max(0.0, 1 - 2 * self.weight), "maxweight": max(0.0, 2 * self.weight - 1)}
        weights["averageweight"] = 1 - sum(weights.values())
        for gender, g in genders.items():
            for age, a in ages.items():
                for race, r in self.races.items():
                    out[f"macrodetails/{race}-{gender}-{age}"] = g * a * r
                for muscle, m in muscles.items():
                    for weight, w in weights.items():
                        out[f"macrodetails/universal-{gender}-{age}-{muscle}-{weight}"] = g * a * m * w
        out.update(self.face)
        return {name: weight for name, weight in out.items() if abs(weight) > 1e-4}

    def pieces(self) -> dict[str, tuple[str, ...]]:
        """Surface name -> category, piece and (eyes) material."""
        out: dict[str, tuple[str, ...]] = {
            "teeth": ("teeth", self.teeth),
            "tongue": ("tongue", "tongue01"),
            "clothes": ("clothes", self.clothes),
            "eyebrows": ("eyebrows", self.brow),
            "eyelashes": ("eyelashes", self.lashes),
            "eyes": ("eyes", "high-poly", self.eyes),
        }
        if self.hair:
            out["hair"] = ("hair", self.hair)
        return out


def studio_lights(rng: np.random.Generator) -> tuple[Light, ...]:
    """A key, a fill, a rim and soft surroundings, varied in direction, strength and warmth."""
    side = rng.choice([-1.0, 1.0])
    warmth = rng.normal(0, 0.05)
    warm, cool = np.array([1 + warmth, 0.96, 0.9 - warmth]), np.array([0.85 - warmth, 0.92, 1.0 + warmth])
    key, fill, rim = rng.uniform(1.7, 2.3), rng.uniform(0.45, 0.8), rng.uniform(0.4, 1.2)
    key_azimuth, key_elevation = side * rng.uniform(22, 45), rng.uniform(22, 38)
    out = [
        (key_azimuth - 9, key_elevation - 6, warm * key / 2),
        (key_azimuth + 9, key_elevation + 6, warm * key / 2),
        (-side * rng.uniform(40, 55), rng.uniform(8, 18), cool * fill),
        (side * 150.0, 35.0, np.ones(3) * rim),
        (0.0, 70.0, cool * 0.35),
        (0.0, -25.0, cool * 0.3),
        (0.0, 10.0, cool * 0.4),
    ]
    return tuple(Light(float(a), float(e), tuple(float(x) for x in c)) for a, e, c in out)  # type: ignore[arg-type]


def _tone(rng: np.random.Generator, african: float) -> tuple[float, float, float]:
    depth = african * rng.uniform(0.55, 0.75)
    base = np.array([1.0, 0.955, 0.90]) ** rng.uniform(0.2, 1.2)
    dark = np.array([0.34, 0.235, 0.18]) * rng.uniform(0.8, 1.5)
    tint = (1 - depth / 0.75) * base + depth / 0.75 * dark
    return tuple(float(x) for x in tint)  # type: ignore[return-value]


def random_identity(seed: int) -> Identity:
    """A person drawn from `seed`, the same one every time."""
    rng = np.random.default_rng([7, seed])
    main = ("asian", "caucasian", "african")[seed % 3]
    share = rng.uniform(0.7, 1.0)
    others = [race for race in ("asian", "caucasian", "african") if race != main]
    races = {main: share, others[0]: (1 - share) / 2, others[1]: (1 - share) / 2}
    is_male = seed % 2 == 1
    old = float(rng.choice([rng.uniform(0, 0.12), rng.uniform(0.2, 0.4)], p=[0.7, 0.3]))
    middle = old > 0.15
    if is_male:
        skins = MIDDLE_MALE_SKINS if middle else MALE_SKINS
    else:
        skins = MIDDLE_FEMALE_SKINS if middle else FEMALE_SKINS
    hair_choices = ("short01", "short02", "short04") if is_male else ("braid01", "braid01", "short01", "short04")
    hair = str(rng.choice(hair_choices))  # bob02 and short03 hang over an eye
    colours = HAIR_COLOURS[:3] if main != "caucasian" else HAIR_COLOURS
    hair_colour = colours[rng.integers(len(colours))]
    eyes = str(rng.choice(EYE_COLOURS if main == "caucasian" else ("brown", "brownlight")))
    face: dict[str, float] = {}
    for plus, minus in FACE_TARGETS:
        value = float(rng.normal(0, 0.22))
        face[plus if value > 0 else minus] = abs(value)
    for plus, minus in PAIRED_EYE_TARGETS:
        value = float(rng.normal(0, 0.2))
        for side in "lr":
            face[f"eyes/{side}-{plus if value > 0 else minus}"] = abs(value)
    return Identity(
        name=f"person{seed:03d}", races=races, male=float(is_male) * 0.97, old=old,
        muscle=float(rng.uniform(0.4, 0.65)), weight=float(rng.uniform(0.4, 0.62)),
        skin=str(rng.choice(skins)), skin_tint=_tone(rng, races["african"]),
        hair=hair, hair_colour=hair_colour, brow=f"eyebrow{rng.integers(1, 13):03d}",
        lashes=f"eyelashes0{rng.integers(1, 5)}", eyes=eyes,
        teeth=str(rng.choice(["teeth_base", "teeth_shape01", "teeth_shape02"])),
        clothes=str(rng.choice(MALE_CLOTHES if is_male else FEMALE_CLOTHES)),
        cloth_tint=tuple(float(x) for x in rng.uniform(0.6, 1.0, 3)),  # type: ignore[arg-type]
        background=_background(rng), lights=studio_lights(rng), face=face,
    )  # fmt: skip


def _background(rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    base = rng.uniform(0.25, 0.85) + rng.normal(0, 0.05, 3)
    shades = (base, base * rng.uniform(0.6, 0.95), base + rng.uniform(0.0, 0.12))
    return tuple(tuple(float(np.clip(x, 0.03, 0.97)) for x in shade) for shade in shades)  # type: ignore[misc]
