"""Built engines are found by everything they depend on, and appear whole or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest

from engines.engine import TensorSpec
from engines.tensorrt_store import EngineStore, Recipe, Target

TARGET = Target("11.4.0", "NVIDIA L4", "8.9")
NUMBER = {"number": TensorSpec((1, 3), "float32")}
RECIPE = Recipe("doubler", "ab" * 32, "fp16", NUMBER, {"doubled": TensorSpec((1, 3), "float32")}, TARGET, 1)


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "toy.tensorrt")


@pytest.mark.parametrize(
    "other",
    [
        replace(RECIPE, onnx_sha256="cd" * 32),
        replace(RECIPE, precision="fp32"),
        replace(RECIPE, inputs={"number": TensorSpec((1, 4), "float32")}),
        replace(RECIPE, outputs={"doubled": TensorSpec((1, 3), "float16")}),
        replace(RECIPE, target=replace(TARGET, tensorrt="11.5.0")),
        replace(RECIPE, target=replace(TARGET, gpu="NVIDIA A10")),
        replace(RECIPE, target=replace(TARGET, compute_capability="8.6")),
        replace(RECIPE, rules=2),
    ],
)
def test_an_engine_for_anything_else_is_not_taken(store: EngineStore, other: Recipe) -> None:
    store.save(RECIPE, b"plan")
    assert store.load(RECIPE) == b"plan" and store.load(other) is None


def test_a_key_does_not_depend_on_how_a_recipe_came_about() -> None:
    assert RECIPE.key == replace(RECIPE, inputs=dict(NUMBER)).key


def test_a_damaged_plan_counts_as_missing_and_is_replaced(store: EngineStore) -> None:
    store.save(RECIPE, b"plan")
    (store.folder / RECIPE.key / "plan").write_bytes(b"pla")
    assert store.load(RECIPE) is None
    store.save(RECIPE, b"plan")
    assert store.load(RECIPE) == b"plan"
    (store.folder / RECIPE.key / "manifest.json").write_text("{")
    assert store.load(RECIPE) is None


def test_a_build_that_was_broken_off_leaves_nothing_that_is_taken(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Path, target: Path) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="disk full"):
        patched.setattr(Path, "rename", broken)
        store.save(RECIPE, b"plan")
    assert store.load(RECIPE) is None
    store.save(RECIPE, b"plan")
    assert [path.name for path in store.folder.iterdir()] == [RECIPE.key]


def test_two_that_build_the_same_at_once_both_have_it(store: EngineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def after_another(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        store.save(RECIPE, b"the other's plan")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", after_another)
    store.save(RECIPE, b"plan")
    assert store.load(RECIPE) == b"the other's plan"
    assert [path.name for path in store.folder.iterdir()] == [RECIPE.key]


def test_a_bundle_in_the_current_folder_has_a_place_for_engines_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "toy").mkdir()
    monkeypatch.chdir(tmp_path / "toy")
    assert EngineStore.beside(Path(".")).folder == tmp_path / "toy.tensorrt"


def test_timings_are_kept_for_one_gpu_and_version(store: EngineStore) -> None:
    assert store.load_timings(TARGET) == b""
    store.save_timings(TARGET, b"measured")
    assert store.load_timings(TARGET) == b"measured"
    assert store.load_timings(replace(TARGET, gpu="NVIDIA A10")) == b""
