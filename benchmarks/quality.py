"""How true the pictures are, against rendered ground truth on motions never trained on: python -m benchmarks.quality --json

Needs what training needs (make install-dev) and the MakeHuman assets. The last line is one JSON object:

psnr_face_seen_db, psnr_face_unseen_db     people of the training set, people never rendered for it; also `mouth`, `eyes`.
                                           Any pose and expression that the model knows, every frame by itself
psnr_face_speaking_seen_db, ..unseen_db    the same people saying recorded speech, streamed as the server does it
pose_error_deg, tracker_floor_deg          turn of the head away from rest that an independent tracker reads, against the
                                           commanded one, in generated and in true pictures: mean of yaw, pitch and roll
pose_change_by_expression_deg              what the tracker reads as a turn when the expression alone changes, and its
                                           floor in true pictures
expression_change_by_pose                  change of mouth opening, smile and lids (0..1 each) when the pose alone
                                           changes, and its floor
two_step_vs_many_db                        two steps against 50 of the same model; `face_db_by_steps`: 1, 2, 4 and 50 against
                                           the truth
flicker                                    mean change from frame to frame of a face held still, in levels of 255
drift                                      the same held face before and after minutes of motion, in dB
identity_ratio                             how alike portrait and generated picture are to a face recogniser, over the same
                                           for the true picture; null where it is not installed (benchmarks/identity.py)
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from benchmarks.face_tracker import Sight, track
from benchmarks.identity import FaceRecogniser, IdentityUnavailable, similarities
from benchmarks.lipsync import faces_of, levelled
from benchmarks.machine import DEFAULT_ASSETS, REPOSITORY, commit, machine
from benchmarks.psnr import psnr_db
from benchmarks.speech import RECORDED, speech
from engines.bundle import Bundle, BundleError, Presenter, open_bundle
from engines.engine import EngineError
from flap import coefficients as co
from flap.config import CHUNK_FRAMES, FRAME_RATE_HZ, MEDIA_RATE_HZ, SAMPLE_RATE_HZ
from realtime.face.audio_to_flame import AudioToFlameStage
from realtime.face.source import SpeechStage
from realtime.render.portrait import PortraitStage

Pictures = list[NDArray[np.uint8]]
REGIONS = {"face": 1, "mouth": 2, "eyes": 3}  # the masks of the renderer that show them
SETTLE_CHUNKS = 2
MANY_STEPS = 50
STEPS_COMPARED = (1, 2, 4, MANY_STEPS)
SPEECH_S = 12
CLIP_FRAMES = 50  # of the motion that may make the model drift
SEEN_PEOPLE = range(500, 510)  # the presenters
UNSEEN_PEOPLE = range(400, 420)  # training.data keeps them out


@dataclass(frozen=True)
class Plan:
    people: int  # of each kind
    motions: int  # of each person, and frames of its speech
    many_steps_motions: int
    drift_s: float


FULL = Plan(people=5, motions=12, many_steps_motions=2, drift_s=120)
QUICK = Plan(people=1, motions=4, many_steps_motions=1, drift_s=8)


@dataclass(frozen=True)
class Person:
    """Ground truth of one person: motions, then the same poses at rest, then the same expressions ahead."""

    name: str
    portrait: NDArray[np.uint8]
    faces: co.Array  # [n, 120]
    pictures: Pictures
    masks: NDArray[np.float32]  # [n, 64, 64, 4]
    speaking: "Person | None" = None  # the truth of some frames of speech


def variants(faces: co.Array) -> tuple[co.Array, co.Array]:
    """The same poses with a face at rest, and the same expressions with the head ahead."""
    at_rest, ahead = co.neutral(len(faces)), faces.copy()
    at_rest[:, co.ROTATION] = faces[:, co.ROTATION]
    ahead[:, co.ROTATION] = 0
    return at_rest, ahead


def spoken_faces(bundle: Bundle) -> tuple[co.Array, str]:
    """Faces `[n, 120]` of speech as the server makes them, head and lids included, and where the speech comes from."""
    sound, source = speech(RECORDED, SPEECH_S)
    heard = resample_poly(sound[: SPEECH_S * MEDIA_RATE_HZ] / 32_768, 1, MEDIA_RATE_HZ // SAMPLE_RATE_HZ)
    faces, _ = faces_of(SpeechStage(AudioToFlameStage(bundle.engines["audio_to_flame"])), levelled(heard))
    return faces[: SPEECH_S * FRAME_RATE_HZ], source


def spoken_frames(faces: co.Array, count: int) -> list[int]:
    """Which of them are compared: evenly over the speech, but for its first second."""
    return [int(frame) for frame in np.linspace(FRAME_RATE_HZ, len(faces) - 1, count)]


def render_person(assets: Any, number: int, motions: int, spoken: co.Array | None = None) -> Person:
    """Renders what the model is to make; of `spoken` `[n, 120]`, if given, as many frames as there are motions.

    Imports the renderer here: the other benchmarks do without it.
    """
    from training.motions import random_face
    from training.render.character import Character
    from training.render.people import identity_of, scene_of
    from training.render.rasterizer import Stage

    rng = np.random.default_rng([77, number])
    moved = np.stack([random_face(rng) for _ in range(motions)])
    faces = np.concatenate([moved, *variants(moved)])
    stage = Stage(Character(assets, identity_of(number)), scene_of(number, 0))
    portrait, _ = stage.render(co.neutral())

    def person(faces: co.Array, speaking: Person | None = None) -> Person:
        rendered = [stage.render(face) for face in faces]
        masks = np.stack([motion.masks for _, motion in rendered])
        return Person(f"person{number}", portrait, faces, [picture for picture, _ in rendered], masks, speaking)

    made = person(faces, None if spoken is None else person(spoken[spoken_frames(spoken, motions)]))
    stage.context.release()
    return made


def generate(stage: PortraitStage, name: str, faces: co.Array) -> Pictures:
    """A settled frame of each face."""
    out = []
    for face in faces:
        state = stage.init_state(name)
        for _ in range(SETTLE_CHUNKS):
            frames, state = stage.step(np.tile(face, (CHUNK_FRAMES, 1)), state)
        out.append(frames[-1])
    return out


def stream(stage: PortraitStage, name: str, faces: co.Array) -> Pictures:
    """Frames of `faces` one after the other, each with those before it as its past."""
    state, out = stage.init_state(name), list[NDArray[np.uint8]]()
    for chunk in faces.reshape(-1, CHUNK_FRAMES, co.SIZE):
        frames, state = stage.step(chunk, state)
        out += list(frames)
    return out


def region_psnr_db(made: Pictures, person: Person, channel: int) -> list[float]:
    """Over one mask of the renderer; frames that show too little of it are left out."""
    out = []
    for picture, truth, masks in zip(made, person.pictures, person.masks, strict=False):
        mask = cv2.resize(masks[..., channel], picture.shape[:2][::-1]) > 0.5
        if mask.sum() > 50:
            out.append(psnr_db(picture, truth, mask))
    return out


def turn_deg(sight: Sight, rest: Sight) -> NDArray[np.float64]:
    """Yaw, pitch and roll away from `rest`."""
    return np.array([sight.yaw_deg - rest.yaw_deg, sight.pitch_deg - rest.pitch_deg, sight.roll_deg - rest.roll_deg])


def signs(sight: Sight) -> NDArray[np.float64]:
    return np.array([sight.mouth_opening, sight.smile, sight.eyes_closed])


def control(pictures: Pictures, person: Person, motions: int) -> dict[str, list[float]]:
    """What the tracker reads in pictures of `person.faces`: error of the pose, and leaks both ways."""
    *sights, rest = track([*pictures, person.portrait])
    if rest is None:
        return {}
    found: dict[str, list[float]] = {"pose_error": [], "pose_leak": [], "expression_leak": []}
    for i in range(motions):
        moved, at_rest, ahead = sights[i], sights[motions + i], sights[2 * motions + i]
        commanded = np.degrees(person.faces[i, [co.YAW, co.PITCH, co.ROLL]])
        if moved is not None:
            found["pose_error"].append(float(np.abs(turn_deg(moved, rest) - commanded).mean()))
        if moved is not None and at_rest is not None:
            found["pose_leak"].append(float(np.abs(turn_deg(moved, at_rest)).mean()))
        if moved is not None and ahead is not None:
            found["expression_leak"].append(float(np.abs(signs(moved) - signs(ahead)).mean()))
    return found


def identity_ratios(person: Person, made: Pictures, recogniser: FaceRecogniser) -> list[float]:
    """Likeness of generated pictures to the portrait over that of true pictures of the same motion."""
    generated = similarities(person.portrait, made, recogniser)
    true = similarities(person.portrait, person.pictures[: len(made)], recogniser)
    return [a / b for a, b in zip(generated, true, strict=True) if a is not None and b is not None and b > 0]


def _recogniser() -> FaceRecogniser | None:
    try:
        return FaceRecogniser()
    except IdentityUnavailable as error:
        print(f"identity is not measured: {error}", file=sys.stderr)
        return None


def flicker(stage: PortraitStage, name: str) -> float:
    state, frames = stage.init_state(name), []
    face = co.from_arkit({"jawOpen": 0.3}, co.rotation_from_degrees(yaw_deg=15))
    for _ in range(12):
        made, state = stage.step(np.tile(face, (CHUNK_FRAMES, 1)), state)
        frames += list(made.astype(np.int16))
    still = frames[8:]  # the cache has filled
    return float(np.mean([np.abs(b - a).mean() for a, b in zip(still, still[1:], strict=False)]))


def drift_db(stage: PortraitStage, name: str, seconds: float) -> float:
    """How alike a held face is before and after `seconds` of motion of one stream."""
    from training.motions import random_clip

    rng, state = np.random.default_rng(5), stage.init_state(name)
    held = [co.neutral(CHUNK_FRAMES)] * 6
    clips = int(seconds * FRAME_RATE_HZ / CLIP_FRAMES) + 1
    moving = np.concatenate([random_clip(rng, CLIP_FRAMES) for _ in range(clips)]).reshape(-1, CHUNK_FRAMES, co.SIZE)
    pictures = []
    for faces in (held, moving, held):
        for chunk in faces:
            frames, state = stage.step(chunk, state)
        pictures.append(frames[-1])
    return psnr_db(pictures[0], pictures[2])


@dataclass(frozen=True)
class Likeness:
    """How true the pictures of one person are; by region where it says so."""

    any_pose_db: Mapping[str, list[float]]
    speaking_db: Mapping[str, list[float]]
    control: Mapping[str, list[float]]  # what the tracker reads in generated pictures
    true_control: Mapping[str, list[float]]  # and in true ones
    two_step_db: list[float]  # against many steps
    face_db: Mapping[int, list[float]]  # by the number of steps
    identity: list[float]


def measure_person(
    stages: Mapping[int, PortraitStage],
    steps: int,
    person: Person,
    spoken: co.Array,
    plan: Plan,
    recogniser: FaceRecogniser | None,
) -> Likeness:
    """`stages` by their number of steps, of which `steps` are measured in full."""
    assert person.speaking
    streamed = stream(stages[steps], person.name, spoken)
    some_frames = [streamed[frame] for frame in spoken_frames(spoken, plan.motions)]
    made = generate(stages[steps], person.name, person.faces)
    some = {n: generate(stages[n], person.name, person.faces[: plan.many_steps_motions]) for n in STEPS_COMPARED}
    return Likeness(
        any_pose_db={region: region_psnr_db(made[: plan.motions], person, mask) for region, mask in REGIONS.items()},
        speaking_db={region: region_psnr_db(some_frames, person.speaking, mask) for region, mask in REGIONS.items()},
        control=control(made, person, plan.motions),
        true_control=control(person.pictures, person, plan.motions),
        two_step_db=[psnr_db(a, b) for a, b in zip(some[2], some[MANY_STEPS], strict=True)],
        face_db={n: region_psnr_db(pictures, person, REGIONS["face"]) for n, pictures in some.items()},
        identity=identity_ratios(person, made[: plan.motions], recogniser) if recogniser else [],
    )


def likeness_figures(kind: str, people: Sequence[Likeness]) -> dict[str, float | None]:
    """Of people who are `seen` or `unseen`."""
    found = {}
    for region in REGIONS:
        found[f"psnr_{region}_{kind}_db"] = _mean(person.any_pose_db[region] for person in people)
        found[f"psnr_{region}_speaking_{kind}_db"] = _mean(person.speaking_db[region] for person in people)
    return found


def control_figures(people: Sequence[Likeness]) -> dict[str, float | None]:
    def made(name: str) -> float | None:
        return _mean(person.control.get(name, []) for person in people)

    def true(name: str) -> float | None:
        return _mean(person.true_control.get(name, []) for person in people)

    return {
        "pose_error_deg": made("pose_error"),
        "tracker_floor_deg": true("pose_error"),
        "pose_change_by_expression_deg": made("pose_leak"),
        "pose_change_by_expression_floor_deg": true("pose_leak"),
        "expression_change_by_pose": made("expression_leak"),
        "expression_change_by_pose_floor": true("expression_leak"),
    }


def _mean(parts: Iterable[Sequence[float]]) -> float | None:
    """Over all of them together; None of nothing."""
    values = [value for part in parts for value in part]
    return round(float(np.mean(values)), 3) if values else None


def measure(
    bundle: Bundle, seen: Sequence[Person], unseen: Sequence[Person], spoken: co.Array, plan: Plan, steps: int
) -> dict[str, Any]:
    """All numbers, each with how many frames and people stand behind it."""
    recogniser = _recogniser()
    with tempfile.TemporaryDirectory() as folder:
        everybody = with_people(bundle, [*seen, *unseen], Path(folder))
        stages = {n: PortraitStage(everybody, n) for n in {steps, *STEPS_COMPARED}}
        of_seen = [measure_person(stages, steps, person, spoken, plan, None) for person in seen]
        of_unseen = [measure_person(stages, steps, person, spoken, plan, recogniser) for person in unseen]
        first = (*seen, *unseen)[0].name
        flickers = flicker(stages[steps], first)
        drifts_db = drift_db(stages[steps], first, plan.drift_s)
    people = [*of_seen, *of_unseen]
    return {
        "steps": steps,
        "people": {"seen": len(seen), "unseen": len(unseen)},
        "motions": plan.motions,
        **likeness_figures("seen", of_seen),
        **likeness_figures("unseen", of_unseen),
        **control_figures(people),
        "two_step_vs_many_db": _mean(person.two_step_db for person in people),
        "face_db_by_steps": {str(n): _mean(person.face_db[n] for person in people) for n in STEPS_COMPARED},
        "flicker": round(flickers, 3),
        "drift": {"seconds": plan.drift_s, "psnr_db": round(drifts_db, 1)},
        "identity_ratio": _mean(person.identity for person in people),
    }


def with_people(bundle: Bundle, people: Sequence[Person], folder: Path) -> Bundle:
    presenters = {}
    for person in people:
        path = folder / f"{person.name}.png"
        cv2.imwrite(str(path), cv2.cvtColor(person.portrait, cv2.COLOR_RGB2BGR))
        presenters[person.name] = Presenter(person.name, person.name, path, co.neutral())
    return replace(bundle, presenters=presenters)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="less exact, done within a minute")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument("--assets", type=Path, default=DEFAULT_ASSETS, help="folder of the MakeHuman assets")
    parser.add_argument("--steps", type=int, default=1, help="denoising steps (default: 1)")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else FULL
    try:
        from training.render.assets import AssetError, Assets

        assets = Assets(options.assets)
        bundle = open_bundle(options.bundle)
    except ImportError as error:
        sys.exit(f"cannot measure: {error}; make install-dev installs what the renderer needs")
    except (AssetError, BundleError, EngineError) as error:
        sys.exit(f"cannot measure: {error}")
    spoken, source = spoken_faces(bundle)
    seen, unseen = (
        [render_person(assets, number, plan.motions, spoken) for number in numbers[: plan.people]]
        for numbers in (SEEN_PEOPLE, UNSEEN_PEOPLE)
    )
    result = measure(bundle, seen, unseen, spoken, plan, options.steps)
    result |= {"speech": source, "machine": machine(), "commit": commit()}
    for name, value in result.items():
        print(f"{name:<38} {value}")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
