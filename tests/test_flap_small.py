"""The whole training is a list of programs that exist and know the options they are started with."""

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.program_help import help_of  # noqa: E402
from training.flap_small import plan  # noqa: E402

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
    made = {step.made.relative_to("runs").parts[0] for step in STEPS}
    assert {"dataset", "autoencoder", "denoiser", "audio_to_flame", "presenters"} <= made
