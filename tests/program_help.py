"""What a program of the project prints for `--help`."""

import contextlib
import io
import runpy
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@cache
def help_of(program: str) -> str:
    """Of `-m MODULE` or a file in the repository; in this process, because each of its own would import PyTorch again."""
    *module, name = program.split()
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown), pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", [name, "--help"])
        if module == ["-m"]:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        runpy.run_path(str(ROOT / name), run_name="__main__")
    assert not ended.value.code
    return shown.getvalue()
