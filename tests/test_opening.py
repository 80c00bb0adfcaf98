"""A bundle is put together to the pipeline, or refused with what to do."""

import json
from pathlib import Path

import pytest

from engines.bundle import BundleError
from flap.speech import LOOKAHEAD_FRAMES
from realtime.config import ConfigError, ServerConfig
from realtime.render.opening import open_pipeline
from tests.toy_bundle import write_bundle


def test_the_shipped_bundle_becomes_a_pipeline_with_its_presenters() -> None:
    pipeline, cast = open_pipeline(ServerConfig())
    assert pipeline.lookahead_frames > 0 and len(cast) >= 8


def test_a_bundle_whose_speech_network_hears_another_time_ahead_is_refused(tmp_path: Path) -> None:
    """Its lips would be off by the difference, and nothing else would show it."""
    folder = write_bundle(tmp_path / "toy")
    with pytest.raises(BundleError, match="does not say how far ahead.* export the bundle again"):
        open_pipeline(ServerConfig(bundle=folder))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["config"]["lookahead_frames"] = 7
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="hears 7 frames ahead.* export the bundle again"):
        open_pipeline(ServerConfig(bundle=folder))


def test_a_bundle_that_lacks_a_graph_or_people_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "toy")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["config"]["lookahead_frames"] = LOOKAHEAD_FRAMES
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="has no graph audio_to_flame, .* export the bundle again"):
        open_pipeline(ServerConfig(bundle=folder))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "presenters": []}))
    with pytest.raises(BundleError, match="has no presenters"):
        open_pipeline(ServerConfig(bundle=folder, presenters_folder=tmp_path / "nobody"))


def test_a_presenter_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match="no presenter 'nobody': choose one of .*mei"):
        open_pipeline(ServerConfig(presenter="nobody"))
