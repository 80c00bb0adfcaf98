"""What the documents tell a newcomer to type, open or look at exists."""

import re
from pathlib import Path

import pytest

from tests.program_help import help_of

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = re.compile(r"```(?:bash|sh|console)?\n(.*?)```|`([^`\n]+)`", re.DOTALL)
MAKE = re.compile(r"^make((?: [a-z][a-z-]*)+)")
PYTHON = re.compile(r"^(?:\S*/)?python3? (-m \S+|\S+\.py)(.*)")
OPTION = re.compile(r"(?<!\S)(--[a-z][a-z-]*)")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def commands(document: Path) -> list[str]:
    """Lines of code in a document, continued lines joined, prompts taken off."""
    pieces = ["".join(groups) for groups in CODE.findall(document.read_text())]
    lines = "\n".join(pieces).replace("\\\n", " ").splitlines()
    return [line.strip().removeprefix("$ ") for line in lines]


def every_command(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    found = {(path.name, line) for path in DOCUMENTS for line in commands(path) if pattern.match(line)}
    return sorted(found)


pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")  # harmless: --help ends them


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_links_to_is_there(document: Path) -> None:
    missing = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize(("document", "command"), every_command(MAKE))
def test_a_make_target_that_a_document_names_exists(document: str, command: str) -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = MAKE.match(command)
    assert named and set(named[1].split()) <= set(targets)


@pytest.mark.parametrize(("document", "command"), every_command(PYTHON))
def test_a_program_that_a_document_runs_knows_the_options(document: str, command: str) -> None:
    match = PYTHON.match(command)
    assert match
    if match[1] in ("-m venv", "-m pip", "-m pytest"):
        return
    shown = help_of(match[1])
    options = OPTION.findall(match[2].split("#")[0])
    assert not [option for option in options if not re.search(rf"{option}(?![a-z-])", shown)]
    if options:  # a command to type, no mention of the program
        assert needed_options(shown) <= set(options)


def needed_options(shown: str) -> set[str]:
    """Those that a program's `--help` has outside of brackets."""
    usage, before = shown.split("\n\n")[0], ""
    while usage != before:
        usage, before = re.sub(r"[\[(][^][()]*[\])]", "", usage), usage
    return set(OPTION.findall(usage))


def test_options_that_are_needed_stand_outside_of_brackets() -> None:
    shown = (
        "usage: x [-h] [--json] --corpus CORPUS\n         [--sound {clean,opus}] (--a A | --b B)\n\noptions:\n  --json"
    )
    assert needed_options(shown) == {"--corpus"}


def test_the_readme_starts_with_the_two_commands() -> None:
    first_block = CODE.search((ROOT / "README.md").read_text())
    assert first_block and "make run" in first_block[1]
