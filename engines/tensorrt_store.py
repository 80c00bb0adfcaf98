"""Built TensorRT engines on disk, under a key that names everything they depend on."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.engine import TensorSpec

PLAN, MANIFEST, TIMINGS = "plan", "manifest.json", "timings"


@dataclass(frozen=True)
class Target:
    """What an engine is built for; TensorRT's plans run nowhere else."""

    tensorrt: str  # version
    gpu: str  # name
    compute_capability: str  # "8.9"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a built engine computes, and where."""

    graph: str  # name
    onnx_sha256: str
    precision: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    target: Target
    rules: int  # how a graph of the bundle became the one that was built, counted by `engines.tensorrt.RULES`

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def key(self) -> str:
        """32 hexadecimal digits; another one as soon as anything differs."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()[:32]


class EngineStore:
    """A folder of engines, `<key>/plan` with a manifest that has its checksum; each appears whole or not at all."""

    def __init__(self, folder: Path):
        self.folder = folder

    @staticmethod
    def beside(bundle: Path) -> "EngineStore":
        """Where the engines of a bundle are kept: beside it, so that replacing the bundle leaves them."""
        whole = bundle.absolute()  # "." has no name
        return EngineStore(whole.with_name(whole.name + ".tensorrt"))

    def load(self, recipe: Recipe) -> bytes | None:
        """The plan; None when it has not been built or is damaged."""
        folder = self.folder / recipe.key
        try:
            plan, manifest = (folder / PLAN).read_bytes(), json.loads((folder / MANIFEST).read_text())
        except (OSError, ValueError):
            return None
        return plan if manifest.get("sha256") == hashlib.sha256(plan).hexdigest() else None

    def save(self, recipe: Recipe, plan: bytes) -> None:
        """Puts a plan in the place of one that is damaged or missing; two processes may do so at once: one of them is kept."""
        partial = self.folder / f"{recipe.key}.{secrets.token_hex(4)}.partial"
        partial.mkdir(parents=True)
        manifest = recipe.as_json() | {"sha256": hashlib.sha256(plan).hexdigest()}
        try:
            (partial / PLAN).write_bytes(plan)
            (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
            shutil.rmtree(self.folder / recipe.key, ignore_errors=True)
            partial.rename(self.folder / recipe.key)
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            if self.load(recipe) is None:
                raise

    def load_timings(self, target: Target) -> bytes:
        """TensorRT's timing cache of a GPU and version; empty when there is none."""
        try:
            return self._timings(target).read_bytes()
        except OSError:
            return b""

    def save_timings(self, target: Target, timings: bytes) -> None:
        path = self._timings(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_bytes(timings)
        partial.replace(path)

    def _timings(self, target: Target) -> Path:
        name = hashlib.sha256(json.dumps(asdict(target), sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / TIMINGS / name
