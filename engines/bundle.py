"""A bundle: a folder with a manifest, the graphs of a model and its presenters, all verified before use."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine, EngineError, TensorSpec
from engines.onnx import PROVIDERS, OnnxEngine
from engines.tensorrt import PRECISIONS, TensorRt
from flap import coefficients

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
NATIVE = "tensorrt-native"  # TensorRT itself; the others are providers of ONNX Runtime
ENGINES = (*PROVIDERS, NATIVE)
# its operators are so small that a second thread would be waited for at each
SMALL_OPERATORS = frozenset({"audio_to_flame"})
SIDE_BY_SIDE = frozenset({"motion_field", "denoiser_step", "decoder"})  # each chunk in a thread of its own
AT_ONCE = 2  # chunks drawn at the same time: a third of one stream would wait for the first to be denoised


class BundleError(Exception):
    """A bundle is missing, damaged or of another format; the message says what to do."""


@dataclass(frozen=True)
class GraphEntry:
    """A graph; one too large for a file of ONNX has its weights in another."""

    file: str
    sha256: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    weights_file: str = ""
    weights_sha256: str = ""

    @property
    def checksums(self) -> dict[str, str]:
        """Checksum of every file by name."""
        return {self.file: self.sha256} | ({self.weights_file: self.weights_sha256} if self.weights_file else {})

    def threads(self, name: str, most: int) -> int:
        """How many of `most` threads one run of it takes, as the graph `name` of its bundle."""
        return 1 if name in SMALL_OPERATORS else most // self.beside(name, most)

    def beside(self, name: str, most: int) -> int:
        """How many runs of it go on at the same time."""
        return min(most, AT_ONCE) if name in SIDE_BY_SIDE else 1


@dataclass(frozen=True)
class PresenterEntry:
    id: str
    name: str
    file: str
    sha256: str
    coefficients: tuple[float, ...]  # 120


@dataclass(frozen=True)
class Presenter:
    """Someone who can be animated: a portrait on disk, of 256 x 256 or 512 x 512 pixels, and its own coefficients `[120]`."""

    id: str
    name: str
    portrait_path: Path
    coefficients: NDArray[np.float32]


@dataclass(frozen=True)
class Variant:
    """Graphs of another precision that may take the place of those of the same names, and what that costs."""

    graphs: Mapping[str, GraphEntry]
    metrics: Mapping[str, Any]  # psnr_db, mouth_psnr_db against the bundle's own graphs; speed


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself (`manifest.json`)."""

    name: str
    config: Mapping[str, Any]  # rates, sizes, look-ahead
    graphs: Mapping[str, GraphEntry]
    presenters: tuple[PresenterEntry, ...]
    metrics: Mapping[str, Any]
    variants: Mapping[str, Variant] = field(default_factory=dict)

    def graphs_of(self, variant: str | None) -> Mapping[str, GraphEntry]:
        """Every graph, those that `variant` has in its precision; raises BundleError when there is no such variant."""
        if variant is None:
            return self.graphs
        if variant not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise BundleError(
                f"bundle {self.name} has no variant {variant!r} (it has: {known}): make it with python -m export.quantize"
            )
        return {**self.graphs, **self.variants[variant].graphs}


@dataclass(frozen=True)
class Bundle:
    manifest: Manifest
    engines: Mapping[str, Engine]
    presenters: Mapping[str, Presenter]
    threads: int = 1  # that may run graphs at the same time

    @property
    def at_once(self) -> int:
        """How many chunks are drawn at the same time."""
        return min(self.threads, AT_ONCE)


def read_manifest(folder: Path) -> Manifest:
    """Parses a manifest; raises BundleError when it is missing, may not be read or is not of this format."""
    path = folder / MANIFEST
    if not _is_there(path):
        raise BundleError(
            f"no bundle in {folder} (no {MANIFEST}): give --bundle a folder made by python -m export.to_onnx"
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format_version"] != FORMAT_VERSION:
            raise BundleError(
                f"{folder} has bundle format {raw['format_version']}, this server reads {FORMAT_VERSION}: export it again"
            )
        variants = {
            name: Variant(_graphs(entry["graphs"]), entry["metrics"]) for name, entry in raw.get("variants", {}).items()
        }
        presenters = tuple(
            PresenterEntry(p["id"], p["name"], p["file"], p["sha256"], tuple(p["coefficients"]))
            for p in raw["presenters"]
        )
        return Manifest(
            raw["name"], raw["config"], _graphs(raw["graphs"]), presenters, raw.get("metrics", {}), variants
        )
    except OSError as error:
        raise _closed(path, error) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(
            f"{path} cannot be read ({error!r}): restore it from the repository or export it again"
        ) from error


def open_bundle(folder: Path, *, provider: str = "cpu", threads: int = 2, variant: str | None = None) -> Bundle:
    """Verifies every file, opens every graph and warms it up. Raises BundleError or EngineError.

    `threads` draw chunks side by side, and those that are left work within each graph (docs/performance.md).
    `provider` is one of ENGINES; TensorRT's own engines are built from the bundle's graphs, and `variant` is their precision.
    """
    manifest = read_manifest(folder)
    graphs = manifest.graphs_of(None if provider == NATIVE else variant)
    checksums = {file: sha256 for graph in graphs.values() for file, sha256 in graph.checksums.items()}
    checksums |= {entry.file: entry.sha256 for entry in manifest.presenters}
    for file, sha256 in checksums.items():
        _verify(folder / file, sha256)
    native = TensorRt(folder, variant or PRECISIONS[0]) if provider == NATIVE else None
    engines: dict[str, Engine] = {}
    for name, graph in graphs.items():
        if native:
            engine: Engine = native.open(name, graph)
        else:
            engine = OnnxEngine(folder / graph.file, provider, graph.threads(name, threads))
        if dict(engine.inputs) != dict(graph.inputs) or dict(engine.outputs) != dict(graph.outputs):
            raise EngineError(
                f"graph {name} does not have the inputs and outputs that {folder / MANIFEST} promises: export it again"
            )
        engines[name] = engine
    presenters = {entry.id: _presenter(folder, entry) for entry in manifest.presenters}
    return Bundle(manifest, engines, presenters, threads)


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_there(path: Path) -> bool:
    """Raises BundleError where nobody may look."""
    try:
        return path.is_file()
    except OSError as error:
        raise _closed(path, error) from error


def _closed(path: Path, error: OSError) -> BundleError:
    return BundleError(f"{path} cannot be read ({error.strerror}): let the user who runs this read it")


def _verify(path: Path, sha256: str) -> None:
    if not _is_there(path):
        raise BundleError(f"{path} is missing: restore the bundle from the repository or export it again")
    try:
        found = sha256_of(path)
    except OSError as error:
        raise _closed(path, error) from error
    if found != sha256:
        raise BundleError(
            f"{path} has a wrong checksum: it is damaged or was changed; restore it or export the bundle again"
        )


def _graphs(raw: Mapping[str, Any]) -> dict[str, GraphEntry]:
    return {
        name: GraphEntry(
            entry["file"],
            entry["sha256"],
            _specs(entry["inputs"]),
            _specs(entry["outputs"]),
            entry.get("weights_file", ""),
            entry.get("weights_sha256", ""),
        )  # fmt: skip
        for name, entry in raw.items()
    }


def _specs(raw: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(tuple(spec["shape"]), spec["dtype"]) for name, spec in raw.items()}


def _presenter(folder: Path, entry: PresenterEntry) -> Presenter:
    try:
        face = coefficients.check(entry.coefficients)
    except (TypeError, ValueError) as error:
        raise BundleError(f"presenter {entry.id}: {error}; export the bundle again") from error
    return Presenter(entry.id, entry.name, folder / entry.file, face)
