"""The whole training is a list of programs that exist and know the options they are started with."""

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.program_help import help_of  # noqa: E402
from training.flap_small import plan  # noqa: E402
from training.render_dataset import numbers  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")  # harmless: --help ends them

STEPS = plan(Path("assets"), Path("speech"), Path("runs"), 0.5, Path("kept"))
PROGRAMS = {program[0]: program for step in STEPS for program in step.programs}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_each_program_knows_its_options(program: tuple[str, ...]) -> None:
    shown = help_of(f"-m {program[0]}")
    options = [word for word in program if word.startswith("--")]
    assert options
    assert not [option for option in options if not re.search(rf"{option}(?![a-z-])", shown)]


def test_scale_multiplies_the_minutes_of_every_training() -> None:
    whole, half = plan(Path("a"), Path("s"), Path("r"), 1.0), STEPS
    for one, other in zip(whole, half, strict=True):
        for full, short in zip(one.programs, other.programs, strict=True):
            if "--minutes" in full:
                at = full.index("--minutes") + 1
                assert float(short[at]) == 0.5 * float(full[at])


def test_without_kept_weights_everything_begins_anew() -> None:
    anew = plan(Path("assets"), Path("speech"), Path("runs"), 1.0)
    assert not [program for step in anew for program in step.programs if "--begin-from" in program]


def test_every_part_of_a_checkpoint_is_made_by_a_step() -> None:
    made = {path.relative_to("runs").parts[0] for step in STEPS for path in step.made}
    assert {"dataset", "autoencoder", "denoiser", "audio_to_flame", "presenters"} <= made


def test_a_step_is_done_when_each_of_its_programs_is(tmp_path: Path) -> None:
    side_by_side = [step for step in plan(Path("a"), Path("s"), tmp_path, 1.0) if len(step.programs) > 1]
    assert len(side_by_side) == 6
    for step in side_by_side:
        assert len(step.made) == len(step.programs) and not step.is_done
        for path in step.made:
            assert not step.is_done
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        assert step.is_done


def test_the_shards_that_end_a_rendering_are_the_last_of_each_worker() -> None:
    for step in STEPS:
        if step.programs[0][0] != "training.render_dataset":
            continue
        for program, made in zip(step.programs, step.made, strict=True):
            option = dict(zip(program[1::2], program[2::2], strict=True))
            worker, workers = map(int, option["--worker"].split("/"))
            jobs = [(person, shard) for shard in numbers(option["--shards"]) for person in numbers(option["--people"])]
            person, shard = jobs[worker::workers][-1]
            assert made.name == f"person{person:03d}-{shard:02d}.npz"
