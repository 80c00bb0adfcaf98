"""Networks that were trained apart say their mean, and one of them can learn on."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from flap.audio_to_flame import AudioToFlame, AudioToFlameMean, load  # noqa: E402
from training.average_audio_to_flame import average, main  # noqa: E402
from training.train_audio_to_flame import READY_TO_SHUT  # noqa: E402


def networks() -> list[AudioToFlame]:
    torch.manual_seed(0)
    return [AudioToFlame(width, 2 * width).eval() for width in (16, 24)]


@torch.no_grad()
def test_the_mean_of_two_lies_between_them_and_keeps_their_states() -> None:
    first, second = networks()
    for network in (first, second):
        network.shut.weight.zero_()
        network.shut.bias.fill_(-60)  # lips never shut
    mean, features = average([first, second]).eval(), torch.randn(1, 24, 41)
    made = [network(features, *network.init_state(1)) for network in (first, second, mean)]
    assert torch.allclose(made[2][0], (made[0][0] + made[1][0]) / 2, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(made[2][1:], (*made[0][1:], *made[1][1:]), strict=True))
    assert [member.shut_bias.tolist() for member in mean.members] == [pytest.approx(READY_TO_SHUT)] * 2


def test_folders_are_put_together_and_means_of_means_are_taken_apart(tmp_path: Path) -> None:
    for number, network in enumerate(networks()):
        network.save_pretrained(tmp_path / str(number))
    main([str(tmp_path / "0"), str(tmp_path / "1"), "--out", str(tmp_path / "both")])
    main([str(tmp_path / "both"), str(tmp_path / "1"), "--out", str(tmp_path / "three")])
    three = load(tmp_path / "three")
    assert isinstance(three, AudioToFlameMean) and list(three.config.widths) == [16, 24, 24]
    assert torch.equal(three.members[1].gru.weight_hh_l0, three.members[2].gru.weight_hh_l0)


def test_networks_that_do_not_fit_together_or_are_missing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different mouths"):
        average([AudioToFlame(16, 32, mouths=20), AudioToFlame(16, 32, mouths=21)])
    with pytest.raises(SystemExit, match="nothing was put together"):
        main([str(tmp_path / "missing"), "--out", str(tmp_path / "out")])
