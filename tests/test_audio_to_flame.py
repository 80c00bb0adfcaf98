"""The streaming voice-to-mouth stage: causal, chunk by chunk the same as whole, and its graph as good as torch."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from export.audio_graph import audio_graph  # noqa: E402
from export.bundle import export_graph, parity_error  # noqa: E402
from flap.audio_features import AudioFeatures  # noqa: E402
from flap.audio_to_flame import AudioToFlame  # noqa: E402
from flap.speech import OUTPUTS  # noqa: E402
from training import visemes  # noqa: E402


@pytest.fixture(scope="module")
def network() -> AudioToFlame:
    torch.manual_seed(0)
    return AudioToFlame().eval()


def features(count: int):  # type: ignore[no-untyped-def]
    return torch.randn(1, 4 * count, 41, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_any_chunking_gives_what_the_whole_gives(network: AudioToFlame) -> None:
    whole = network(features(12), *network.init_state(1))[0]
    for chunk in (1, 2, 3):
        state, parts = network.init_state(1), []
        for part in features(12).split(4 * chunk, 1):
            out, *state = network(part, *state)
            parts.append(out)
        assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)


@torch.no_grad()
def test_a_later_sound_never_changes_an_earlier_mouth(network: AudioToFlame) -> None:
    changed = features(12)
    changed[:, 24:] += 1
    before, after = (network(f, *network.init_state(1))[0] for f in (features(12), changed))
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.equal(before[:, 6:], after[:, 6:])


def test_features_are_the_same_in_any_chunking() -> None:
    pcm = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    extractor = AudioFeatures()
    whole, _ = extractor.step(pcm, extractor.init_state())
    state, parts = extractor.init_state(), []
    for part in np.split(pcm, 10):
        out, state = extractor.step(part, state)
        parts.append(out)
    assert whole.shape == (100, 41)
    assert np.allclose(np.concatenate(parts), whole, atol=1e-5)


def test_the_graph_computes_what_torch_does(network: AudioToFlame, tmp_path: Path) -> None:
    spec = audio_graph(network)
    assert parity_error(spec, export_graph(spec, tmp_path)) < 1e-4


def test_lips_close_for_p_between_open_vowels() -> None:
    marks = [("a", 0.0, 0.4), ("p", 0.4, 0.5), ("a", 0.5, 0.9)]
    made = visemes.targets(marks, 22, np.ones(22, np.float32))
    jaw, press = made[:, OUTPUTS.index("jawOpen")], made[:, OUTPUTS.index("mouthPressLeft")]
    assert jaw[5] > 0.4
    assert jaw[10:12].min() < 0.02
    assert press[10:12].max() > 0.35 > press[5]


def test_shut_lips_take_the_place_of_open_ones() -> None:
    shut = AudioToFlame().eval()
    shut.closed_shapes.copy_(torch.from_numpy(np.stack([visemes.VECTORS[mouth] for mouth in visemes.CLOSURES])))
    shut.shut_bias.copy_(torch.tensor([30.0, -30.0]))
    with torch.no_grad():
        made = shut(features(3), *shut.init_state(1))[0][0]
    assert np.allclose(made.numpy(), visemes.VECTORS["p"], atol=1e-4)
