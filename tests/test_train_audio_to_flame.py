"""Audio-to-FLAME learns on from an earlier network, and ends ready to be exported."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks.machine import REPOSITORY  # noqa: E402
from engines.onnx import OnnxEngine  # noqa: E402
from flap.audio_to_flame import AudioToFlame, load  # noqa: E402
from training import visemes  # noqa: E402
from training.speech_corpus import Clip, load_all, save  # noqa: E402
from training.train_audio_to_flame import calibrate, known_of, loudness_heard, main, uncalibrate  # noqa: E402


def toy_corpus(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, test in (("one", False), ("two", True)):
        sound = (rng.standard_normal(16_000 * 4) * 0.1).astype(np.float32)
        save(folder, Clip(name, "kokoro", name, "en", test, sound, [("a", 0.0, 1.0), ("p", 1.0, 1.1), ("a", 1.1, 4.0)]))


def swelling_corpus(folder: Path) -> list[Clip]:
    """One clip to learn from whose noise swells and fades."""
    folder.mkdir()
    swell = np.sin(np.arange(16_000 * 8) / 16_000 * 2) ** 2
    sound = (np.random.default_rng(0).standard_normal(len(swell)) * 0.2 * swell).astype(np.float32)
    save(folder, Clip("one", "kokoro", "one", "en", False, sound, [("a", 0.0, 8.0)]))
    return load_all(folder)


@torch.no_grad()
def distance(one: AudioToFlame, other: AudioToFlame) -> float:
    return float((one.gru.weight_hh_l0 - other.gru.weight_hh_l0).abs().mean())


def test_a_network_learns_on_from_where_an_earlier_one_was(tmp_path: Path) -> None:
    toy_corpus(tmp_path / "corpus")
    torch.manual_seed(1)
    earlier = AudioToFlame()
    earlier.gain.fill_(1.2)
    earlier.save_pretrained(tmp_path / "earlier")
    options = ["--corpus", str(tmp_path / "corpus"), "--out", str(tmp_path / "run"), "--minutes", "0.03"]
    main([*options, "--begin-from", str(tmp_path / "earlier")])
    made = AudioToFlame.from_pretrained(tmp_path / "run" / "final")
    torch.manual_seed(2)
    assert 0 < distance(made, earlier) < 0.5 * distance(made, AudioToFlame())
    assert made.closed_shapes.any(), "what export asks for is there"
    assert made.shut_weight.any() and made.shut_bias.all(), "it was calibrated"


def test_a_network_of_another_kind_is_not_begun_anew_in_silence(tmp_path: Path) -> None:
    toy_corpus(tmp_path / "corpus")
    AudioToFlame().save_pretrained(tmp_path / "earlier")
    config = tmp_path / "earlier" / "config.json"
    config.write_text(config.read_text().replace('"AudioToFlame"', '"AudioToFlameMean"'))
    options = ["--corpus", str(tmp_path / "corpus"), "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit, match="nothing was trained: .* of the kind AudioToFlameMean"):
        main([*options, "--begin-from", str(tmp_path / "earlier")])


def test_calibration_can_be_taken_back() -> None:
    network = AudioToFlame()
    network.gain.fill_(1.2)
    network.shut_weight.fill_(0.1)
    network.shut_bias.fill_(0.9)
    uncalibrate(network)
    assert (network.gain == 1).all() and not network.shut_weight.any() and not network.shut_bias.any()


def test_loudness_is_read_from_what_the_network_knows() -> None:
    known = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
    known[:, 4] = 0.3  # never stirs
    weight, bias = loudness_heard(known, known[:, 0] - 2 * known[:, 2] + 7)
    assert torch.allclose(known @ weight + bias, known[:, 0] - 2 * known[:, 2] + 7, atol=1e-2)


@torch.no_grad()
def test_lips_are_less_ready_to_shut_where_it_is_loud(tmp_path: Path) -> None:
    """Sound that swells from silence: by how much calibration has moved the logits falls with it."""
    torch.manual_seed(0)
    network, (clip, *_) = AudioToFlame().eval(), swelling_corpus(tmp_path / "corpus")
    calibrate(network, [clip])
    known = known_of(network, clip)
    moved = known @ network.shut_weight.T + network.shut_bias
    loudness = torch.from_numpy(visemes.relative_loudness(clip.sound, len(known)))
    for kind in moved.T:
        assert torch.corrcoef(torch.stack([kind, loudness]))[0, 1] < -0.8


@torch.no_grad()
def test_the_checkpoint_in_the_repository_is_what_the_bundle_runs() -> None:
    network = load(REPOSITORY / "bundles" / "checkpoints" / "audio_to_flame").eval()
    engine = OnnxEngine(REPOSITORY / "bundles" / "flap-small" / "audio_to_flame.onnx", threads=1)
    names = [name for name in engine.inputs if name != "features"]
    torch.manual_seed(0)
    features, state = (
        torch.randn(engine.inputs["features"].shape),
        [torch.rand(engine.inputs[name].shape) for name in names],
    )
    fed = {"features": features.numpy(), **{n: s.numpy() for n, s in zip(names, state, strict=True)}}
    assert np.allclose(engine.run(fed)["weights"], network(features, *state)[0].numpy(), atol=1e-4)
