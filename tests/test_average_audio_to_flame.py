"""Networks that learnt on from the same one become the one between them."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from flap.audio_to_flame import AudioToFlame, load  # noqa: E402
from tests.test_train_audio_to_flame import swelling_corpus  # noqa: E402
from training.average_audio_to_flame import average, main  # noqa: E402
from training.train_audio_to_flame import calibrate  # noqa: E402


def networks() -> list[AudioToFlame]:
    torch.manual_seed(0)
    made = [AudioToFlame(16, 32).eval() for _ in range(2)]
    made[0].gain.fill_(1.2)
    return made


def test_the_mean_of_two_lies_between_their_weights_and_is_as_large_as_one() -> None:
    first, second = networks()
    mean = average([first, second])
    assert torch.allclose(mean.gru.weight_hh_l0, (first.gru.weight_hh_l0 + second.gru.weight_hh_l0) / 2)
    assert torch.allclose(mean.gain, torch.full_like(mean.gain, 1.1))
    assert sum(w.numel() for w in mean.parameters()) == sum(w.numel() for w in first.parameters())


@torch.no_grad()
def test_the_mean_of_a_network_and_itself_is_that_network_calibrated(tmp_path: Path) -> None:
    networks()[0].save_pretrained(tmp_path / "one")
    corpus = swelling_corpus(tmp_path / "corpus")
    for folders in (["one"], ["one", "one"]):
        arguments = [*(str(tmp_path / name) for name in folders), "--corpus", str(tmp_path / "corpus")]
        main([*arguments, "--out", str(tmp_path / f"of_{len(folders)}")])
    alone, both = (load(tmp_path / name).eval() for name in ("of_1", "of_2"))
    features = torch.randn(1, 24, 41)
    assert torch.allclose(alone(features, *alone.init_state(1))[0], both(features, *both.init_state(1))[0], atol=1e-6)
    by_hand = networks()[0]
    calibrate(by_hand, corpus)
    assert torch.allclose(both.shut_bias, by_hand.shut_bias, atol=1e-5)


def test_networks_that_do_not_fit_together_or_are_missing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="other shapes"):
        average([AudioToFlame(16, 32, mouths=20), AudioToFlame(16, 32, mouths=21)])
    with pytest.raises(SystemExit, match="nothing was put together: the corpus has no clips"):
        main([str(tmp_path / "missing"), "--corpus", str(tmp_path), "--out", str(tmp_path / "out")])
    swelling_corpus(tmp_path / "corpus")
    with pytest.raises(SystemExit, match="nothing was put together: .*missing"):
        main([str(tmp_path / "missing"), "--corpus", str(tmp_path / "corpus"), "--out", str(tmp_path / "out")])
