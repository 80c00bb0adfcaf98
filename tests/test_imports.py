"""Data flows one way: the server runs without torch, and lower layers know nothing of higher ones."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "realtime": {"torch", "diffusers", "training", "export", "onnx", "tests", "benchmarks"},
    "engines": {"torch", "diffusers", "training", "export", "onnx", "realtime", "tests", "benchmarks"},
    "flap": {"realtime", "engines", "training", "export", "tests", "benchmarks"},
    "training": {"realtime", "export", "tests", "benchmarks"},
    "export": {"tests", "benchmarks"},
    "benchmarks": {"export", "torch", "tests"},  # quality renders its ground truth with training.render
    "run_server.py": {"torch", "diffusers", "training", "export", "onnx", "tests", "benchmarks"},
}
MAY = {"benchmarks/sd15.py": {"export", "torch"}}  # it compares what PyTorch computes with what was exported
TORCH_FREE = ("flap", "flap.config", "flap.coefficients", "flap.scheduler")


BEHIND_THE_DOORS = ("session.py", "control", "desk", "drive", "face", "gestures", "media", "outputs", "render", "sound")


def modules(part: str) -> list[Path]:
    path = ROOT / part
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def imports(path: Path) -> set[str]:
    """Top-level names of every absolute import in a file, wherever it stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("part", FORBIDDEN)
def test_no_file_imports_what_lies_above_it(part: str) -> None:
    found = {str(path.relative_to(ROOT)): imports(path) & FORBIDDEN[part] for path in modules(part)}
    wrong = {file: names - MAY.get(file, set()) for file, names in found.items()}
    assert not {file: names for file, names in wrong.items() if names}


def test_what_is_behind_the_doors_knows_nothing_of_http() -> None:
    inner = [path for part in BEHIND_THE_DOORS for path in modules(f"realtime/{part}")]
    assert inner and not [str(path) for path in inner if "from realtime.web" in path.read_text()]


def test_what_the_server_imports_needs_no_torch() -> None:
    """The server's modules import in a fresh interpreter in which torch cannot be found."""
    files = [path for part in ("realtime", "engines") for path in modules(part)]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    program = "import sys\nfor name in ('torch', 'diffusers', 'onnx'): sys.modules[name] = None\n" + "".join(
        f"import {name}\n" for name in (*TORCH_FREE, *names, "run_server")
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
