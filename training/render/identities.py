"""Who is rendered: every choice that makes one person, drawn from a seed."""

from dataclasses import dataclass, field

import numpy as np

Colour = tuple[float, float, float]

FEMALE_SKINS = ("young_lightskinned_female_diffuse2", "young_lightskinned_female_diffuse3")
MIDDLE_FEMALE_SKINS = ("middleage_lightskinned_female_diffuse2",)
MALE_SKINS = tuple(f"young_lightskinned_male_diffuse{suffix}" for suffix in ("", "2", "3"))
MIDDLE_MALE_SKINS = ("middleage_lightskinned_male_diffuse", "middleage_lightskinned_male_diffuse2")
DARK_MALE_SKINS = ("young_darkskinned_male_diffuse", "middleage_darkskinned_male_diffuse")
FEMALE_CLOTHES = ("female_casualsuit01", "female_elegantsuit01", "female_sportsuit01", "male_casualsuit04")
MALE_CLOTHES = tuple(f"male_casualsuit0{n}" for n in (2, 3, 4, 5, 6)) + ("male_elegantsuit01", "male_worksuit01")
EYE_COLOURS = ("blue", "bluegreen", "brown", "brownlight", "green", "grey", "ice", "lightblue")
HAIR_COLOURS = (
    (0.020, 0.016, 0.014), (0.035, 0.026, 0.022), (0.06, 0.045, 0.035), (0.11, 0.065, 0.04), (0.18, 0.10, 0.055),
    (0.34, 0.22, 0.12), (0.24, 0.08, 0.035), (0.20, 0.19, 0.185), (0.45, 0.36, 0.24),
)  # fmt: skip
# folder -> the shapes in it that have two opposite targets; `eyes`, `cheek` and `ears` have them for each side
INCREASED_OR_DECREASED = {
    "cheek": ("cheek-bones", "cheek-inner", "cheek-volume"),
    "chin": ("chin-bones", "chin-height", "chin-prominent", "chin-width", "chin-jaw-drop"),
    "ears": ("ear-flap", "ear-lobe", "ear-scale", "ear-scale-vert", "ear-wing"),
    "eyes": ("eye-bag", "eye-height1", "eye-height2", "eye-height3", "eye-scale"),
    "forehead": ("forehead-nubian", "forehead-scale-vert", "forehead-temple"),
    "head": ("head-fat", "head-scale-depth", "head-scale-horiz", "head-back-scale-depth"),
    "mouth": (
        "mouth-cupidsbow", "mouth-cupidsbow-width", "mouth-lowerlip-height", "mouth-lowerlip-volume", "mouth-lowerlip-width",
        "mouth-philtrum-volume", "mouth-scale-depth", "mouth-scale-horiz", "mouth-upperlip-height",
        "mouth-upperlip-volume", "mouth-upperlip-width",
    ),
    "neck": ("neck-scale-depth", "neck-scale-horiz", "neck-scale-vert"),
    "nose": (
        "nose-flaring", "nose-greek", "nose-hump", "nose-nostrils-width", "nose-point-width", "nose-scale-depth",
        "nose-scale-horiz", "nose-scale-vert", "nose-volume", "nose-width1", "nose-width2", "nose-width3",
    ),
}  # fmt: skip
UP_OR_DOWN = {
    "cheek": ("cheek-trans",),
    "eyes": ("eye-corner1", "eye-corner2", "eye-eyefold", "eye-trans"),
    "eyebrows": ("eyebrows-angle", "eyebrows-trans"),
    "mouth": ("mouth-trans", "mouth-upperlip-middle", "mouth-lowerlip-middle"),
    "nose": ("nose-base", "nose-point", "nose-trans", "nose-nostrils-angle"),
}
OTHER_OPPOSITES = (
    ("head/head-oval", "head/head-round"), ("head/head-square", "head/head-invertedtriangular"),
    ("head/head-rectangular", "head/head-diamond"), ("nose/nose-curve-convex", "nose/nose-curve-concave"),
    ("eyes/eye-epicanthus-in", "eyes/eye-epicanthus-out"), ("eyes/eye-trans-in", "eyes/eye-trans-out"),
    ("forehead/forehead-trans-forward", "forehead/forehead-trans-backward"),
    ("mouth/mouth-dimples-in", "mouth/mouth-dimples-out"),
)  # fmt: skip
SIDED_FOLDERS = ("cheek", "ears", "eyes")
LOPSIDED = tuple(f"asym/asym-{part}-{n}" for part in ("eye", "mouth", "nose", "jaw", "cheek") for n in (1, 2))
DEVIATION = 0.2  # of a target's full strength, for the half of the targets that a person deviates in
# MakeHuman's neutral faces look cross
RESTING_FACE = {
    "mouthSmileLeft": 0.22,
    "mouthSmileRight": 0.22,
    "browInnerUp": 0.35,
    "browOuterUpLeft": 0.12,
    "browOuterUpRight": 0.12,
    "eyeWideLeft": 0.08,
    "eyeWideRight": 0.08,
}


@dataclass(frozen=True)
class Identity:
    """One person. `targets()` and `pieces()` name what the assets must supply."""

    name: str
    races: dict[str, float]  # shares of asian, caucasian, african
    male: float  # 0..1
    old: float  # 0 is 25 years, 1 is 90
    muscle: float
    weight: float
    skin: str
    skin_tint: Colour
    hair: str | None
    hair_colour: Colour
    hair_mirrored: bool
    fringe: float  # where hair over the forehead ends: 0 above the brows, 1 as it falls
    brow: str
    brow_strength: float  # opacity, 0..1
    lashes: str
    eyes: str
    teeth: str
    clothes: str
    cloth_tint: Colour
    cloth_fade: float  # 0 the cloth's own colours, 1 only its pattern of light and dark
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


def opposites() -> list[tuple[str, str]]:
    """Every pair of opposite targets that faces vary by; names of sided folders stand for both sides."""
    pairs: list[tuple[str, str]] = []
    for shapes, more, less in ((INCREASED_OR_DECREASED, "incr", "decr"), (UP_OR_DOWN, "up", "down")):
        for folder, names in shapes.items():
            pairs += [(f"{folder}/{name}-{more}", f"{folder}/{name}-{less}") for name in names]
    return [*pairs, *OTHER_OPPOSITES]


def random_identity(seed: int) -> Identity:
    """A person drawn from `seed`, the same one every time."""
    rng = np.random.default_rng([17, seed])
    main = ("asian", "caucasian", "african")[seed % 3]
    share = rng.uniform(0.65, 1.0)
    others = [race for race in ("asian", "caucasian", "african") if race != main]
    races = {main: share, others[0]: (1 - share) / 2, others[1]: (1 - share) / 2}
    is_male = seed % 2 == 1
    old = float(rng.choice([rng.uniform(0, 0.12), rng.uniform(0.2, 0.45)], p=[0.7, 0.3]))
    skin, tint = _skin(rng, is_male, old > 0.15, races["african"])
    hair_choices = ("short01", "short02", "short03", "short04") if is_male else (
        "braid01", "bob02", "braid01", "bob02", "short01", "short03", "short04")  # fmt: skip
    colours = HAIR_COLOURS[:4] if main != "caucasian" and rng.random() < 0.85 else HAIR_COLOURS
    hair_colour = colours[rng.integers(len(colours))]
    return Identity(
        name=f"person{seed:03d}", races=races,
        male=float(rng.uniform(0.85, 1.0) if is_male else rng.uniform(0, 0.12)), old=old,
        muscle=float(rng.uniform(0.4, 0.65) if is_male else rng.uniform(0.3, 0.5)), weight=float(rng.uniform(0.38, 0.65)),
        skin=skin, skin_tint=tint, hair=None if is_male and rng.random() < 0.05 else str(rng.choice(hair_choices)),
        hair_colour=hair_colour, hair_mirrored=bool(rng.random() < 0.5), fringe=float(rng.choice([0.0, 0.3, 1.0], p=[0.6, 0.2, 0.2])),
        brow=f"eyebrow{rng.integers(1, 13):03d}", brow_strength=float(rng.uniform(0.55, 1.0)),
        lashes=f"eyelashes0{rng.integers(1, 5)}",
        eyes=str(rng.choice(EYE_COLOURS if main == "caucasian" else ("brown", "brownlight"))),
        teeth=str(rng.choice(["teeth_base", "teeth_shape01", "teeth_shape02", "teeth_shape03"])),
        clothes=str(rng.choice(MALE_CLOTHES if is_male else FEMALE_CLOTHES)),
        cloth_tint=tuple(float(x) for x in rng.uniform(0.15, 1.1, 3)),  # type: ignore[arg-type]
        cloth_fade=float(rng.choice([0.0, rng.uniform(0.6, 1.0)], p=[0.35, 0.65])),
        face=_random_face(rng),
    )  # fmt: skip


def _random_face(rng: np.random.Generator) -> dict[str, float]:
    face: dict[str, float] = {}
    for pair in opposites():
        value = float(rng.normal(0, DEVIATION)) if rng.random() < 0.5 else 0.0
        folder, _, name = pair[value < 0].partition("/")
        for side in ("l-", "r-") if folder in SIDED_FOLDERS else ("",):
            face[f"{folder}/{side}{name}"] = abs(value)
    for name in LOPSIDED:
        if rng.random() < 0.25:
            face[f"{name}-{rng.choice(['l', 'r'])}"] = float(rng.uniform(0, 0.35))
    return face


def _skin(rng: np.random.Generator, is_male: bool, middle_aged: bool, african: float) -> tuple[str, Colour]:
    """A skin texture and the linear colour that it is multiplied by."""
    if is_male and african > 0.5 and rng.random() < 0.5:
        tint = np.array([1.0, 1.02, 1.05]) * rng.uniform(0.8, 1.3)
        return str(rng.choice(DARK_MALE_SKINS)), (float(tint[0]), float(tint[1]), float(tint[2]))
    if is_male:
        skins = MIDDLE_MALE_SKINS if middle_aged else MALE_SKINS
    else:
        skins = MIDDLE_FEMALE_SKINS if middle_aged else FEMALE_SKINS
    depth = african * rng.uniform(0.45, 0.75)
    base = np.array([1.0, 0.955, 0.90]) ** rng.uniform(0.2, 1.6)
    dark = np.array([0.34, 0.235, 0.18]) * rng.uniform(0.8, 1.5)
    tint = (1 - depth / 0.75) * base + depth / 0.75 * dark
    return str(rng.choice(skins)), (float(tint[0]), float(tint[1]), float(tint[2]))
