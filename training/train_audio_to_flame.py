"""Trains audio-to-FLAME on the corpus that training.speech_corpus made:

    python -m training.train_audio_to_flame --corpus runs/speech --out runs/audio_to_flame

Clips marked `test` are never trained on; their speakers are other people, and Italian is a language that is only tested.
With `--begin-from bundles/checkpoints/audio_to_flame` the shipped network learns on.
"""

import argparse
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flap.audio_to_flame import AudioToFlame, load
from flap.config import FRAME_SAMPLES
from flap.speech import HOPS_PER_FRAME, LOOKAHEAD_FRAMES, OUTPUTS
from training import visemes
from training.loop import BFLOAT16_IS_FASTER, fit
from training.phones import MOUTHS
from training.speech_batches import SPEECH_LEVEL, UNKNOWN_MOUTH, Piece, features_of, piece, truth
from training.speech_corpus import Clip, load_all

BATCH = 16
FRESH = 8  # pieces of a batch that are new; the others were among the last POOL
POOL = 600
JAW = OUTPUTS.index("jawOpen")
SHARE = {
    "librispeech": 4.0,
    "librispeech_part": 0.8,
    "common_voice": 1.0,
    "ljspeech": 1.5,
    "aishell": 1.5,
    "kokoro": 1.0,
    "espeak": 0.5,
    "facegood": 10.0,
}  # of a clip
# What is added to the logits of p and f at half of a speaker's loudness: a contact missed is seen sooner than one too many.
# From silence to a loud frame it falls by the second number: contacts are rare where it is loud, and one too many is seen.
READY_TO_SHUT, LOUD_IS_OPEN = (0.8, 2.1), 2.5
MOST_GAIN = 1.25
DROPOUT = 0.1
WIDTH = 160  # of its convolutions; its GRU has twice as many


def loss_of(network: AudioToFlame, pieces: Sequence[Piece]) -> Tensor:
    """Errors of shapes and of their speed, of shut lips, of rest, and of which mouth it is."""
    features, weights, shut = (
        torch.from_numpy(np.stack([getattr(p, name) for p in pieces])) for name in ("features", "weights", "shut")
    )
    mouth = torch.from_numpy(np.stack([p.mouth for p in pieces]))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=BFLOAT16_IS_FASTER):
        known, _ = network.encode(features, network.init_state(len(pieces)))
    known = known.float()
    made = network.weights(known)
    told = ~weights.isnan()
    weights, shut_known = weights.nan_to_num(), ~shut.isnan()
    shut = shut.nan_to_num()
    importance = torch.ones(len(OUTPUTS))
    importance[JAW] = 4.0
    care = 1 + 4 * shut.amax(-1, keepdim=True) + 2 * (mouth == 0).unsqueeze(-1)
    error = (made - weights).square() * importance * care * told
    speed = (made.diff(dim=1) - weights.diff(dim=1)).square() * importance * told[:, 1:] * told[:, :-1]
    closing = F.binary_cross_entropy_with_logits(
        network.shut(known), shut, pos_weight=torch.tensor(2.5), reduction="none"
    )
    named = F.cross_entropy(network.which_mouth(known).flatten(0, 1), mouth.flatten(), ignore_index=UNKNOWN_MOUTH)
    return 4 * error.mean() + 6 * speed.mean() + 0.25 * (closing * shut_known).mean() + 0.15 * named


def known_of(network: AudioToFlame, clip: Clip) -> Tensor:
    """What the network knows of each frame of a whole clip `[frames, hidden]`, each with its own sound."""
    sound = clip.sound * SPEECH_LEVEL / (np.sqrt((clip.sound**2).mean()) + 1e-4)
    features = features_of(np.pad(sound, (0, LOOKAHEAD_FRAMES * FRAME_SAMPLES)))
    usable = len(features) // HOPS_PER_FRAME * HOPS_PER_FRAME
    known, _ = network.encode(torch.from_numpy(features[None, :usable]), network.init_state(1))
    return known[0, LOOKAHEAD_FRAMES:]


def run(network: AudioToFlame, clip: Clip) -> np.ndarray:
    """Weights `[frames, outputs]` of a whole clip, each with its own sound."""
    return np.asarray(network.weights(known_of(network, clip)).numpy())


def shut_logits(network: AudioToFlame, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """What the network says of each closure `[n, 2]` at its best within a frame, and how shut the lips ought to be."""
    logits = network.shut(known_of(network, clip)).numpy()
    around = np.stack([np.roll(logits, shift, axis=0) for shift in (-1, 0, 1)]).max(0)
    return around, visemes.closures(clip.marks, len(logits))


@torch.no_grad()
def uncalibrate(network: AudioToFlame) -> None:
    """Takes back what `calibrate` has set."""
    network.gain.fill_(1)
    network.shut_weight.zero_()
    network.shut_bias.zero_()


def calibration_clips(corpus: Sequence[Clip]) -> list[Clip]:
    """A sixth of LibriSpeech's and Kokoro's, whose times are the best. Raises ValueError without any."""
    known = [clip for clip in corpus if not clip.test and clip.marks and clip.source in ("librispeech", "kokoro")]
    if not known:
        raise ValueError("the corpus has no clips of librispeech or kokoro, by which a network is calibrated")
    return known[::6]


@torch.no_grad()
def calibrate(network: AudioToFlame, clips: Sequence[Clip]) -> None:
    """Sets how readily lips shut, then scales each shape to move as far as in `clips`, as least squares makes it smaller."""
    uncalibrate(network)
    known = [known_of(network, clip) for clip in clips]
    loudness = [visemes.relative_loudness(clip.sound, len(k)) for clip, k in zip(clips, known, strict=True)]
    weight, bias = loudness_heard(torch.cat(known), torch.from_numpy(np.concatenate(loudness)))
    network.shut_weight.copy_(-LOUD_IS_OPEN * weight.expand_as(network.shut_weight))
    network.shut_bias.copy_(torch.tensor(READY_TO_SHUT) - LOUD_IS_OPEN * (bias - 0.5))
    made, truths = [], []
    for clip, k in zip(clips, known, strict=True):
        shapes = network.weights(k).numpy()
        made.append(shapes)
        truths.append(truth(clip, clip.marks, clip.sound, len(shapes))[0])
    spread_made, spread_truth = (np.concatenate(part).std(0) for part in (made, truths))
    network.gain.copy_(torch.from_numpy((spread_truth / (spread_made + 1e-3)).clip(1, MOST_GAIN)))


def loudness_heard(known: Tensor, loudness: Tensor) -> tuple[Tensor, Tensor]:
    """Weight `[hidden]` and bias by which `known` `[n, hidden]` says `loudness` `[n]`: ridge regression, for units that never stir."""
    mean_known, mean = known.mean(0), loudness.mean()
    apart = known - mean_known
    weight = torch.linalg.solve(apart.T @ apart + 0.1 * torch.eye(apart.shape[1]), apart.T @ (loudness - mean))
    return weight, mean - mean_known @ weight


@torch.no_grad()
def report(network: AudioToFlame, clips: Sequence[Clip]) -> str:
    """Correlation of the jaw with its target, and the share of closures that are made within a frame, by kind of clip."""
    lines = []
    groups = sorted({(c.source, c.language) for c in clips})
    for source, language in groups:
        jaw, hit, false = [], [], []
        for clip in (c for c in clips if (c.source, c.language) == (source, language)):
            made = run(network, clip)
            wanted = truth(clip, clip.marks, clip.sound, len(made))[0]
            jaw.append(np.corrcoef(made[:, JAW], wanted[:, JAW])[0, 1])
            around, shut = shut_logits(network, clip)
            hit.append(around[shut[:, 0] > 0.99, 0] > 0)
            false.append(around[shut.max(1) == 0, 0] > 0)
        hits, falses = np.concatenate(hit), np.concatenate(false)
        lines.append(
            f"{source} {language} jaw {np.nanmean(jaw):.3f} shut {hits.mean():.2f} falsely {falses.mean():.2f}"
        )
    return " | ".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="another one for each network of a mean")
    parser.add_argument("--begin-from", type=Path, help="folder of an earlier network, which learns on")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    clips = load_all(options.corpus)
    train = [clip for clip in clips if not clip.test]
    chances = np.array([SHARE[clip.source] for clip in train])
    held = [clip for clip in clips if clip.test and clip.marks][::12]
    try:
        calibrating = calibration_clips(clips)
        earlier = load(options.begin_from) if options.begin_from else None
    except (OSError, ValueError) as error:
        sys.exit(f"nothing was trained: {error}")
    width = earlier.config.width if earlier else WIDTH
    network = AudioToFlame(width, 2 * width, mouths=len(MOUTHS), dropout=DROPOUT)
    if earlier:
        network.load_state_dict(earlier.state_dict())
        uncalibrate(network)
    network.closed_shapes.copy_(torch.from_numpy(np.stack([visemes.VECTORS[mouth] for mouth in visemes.CLOSURES])))

    pool: deque[Piece] = deque(maxlen=POOL)

    def loss(generator: torch.Generator) -> Tensor:
        rng = np.random.default_rng([options.seed, int(torch.randint(2**62, (1,), generator=generator))])
        chosen = rng.choice(len(train), FRESH, p=chances / chances.sum())
        fresh = [piece(train[i], rng) for i in chosen]
        pool.extend(fresh)
        return loss_of(network, fresh + [pool[i] for i in rng.integers(len(pool), size=BATCH - FRESH)])

    fit(
        network, network.parameters(), loss, lambda measured: report(measured, held), state=options.out / "state.pt",
        minutes=options.minutes, peak_rate=1e-3 if options.begin_from else 2e-3, report_every=250, bfloat16=False,
    )  # fmt: skip
    calibrate(network, calibrating)
    print(f"finished: {report(network, held)}")
    network.save_pretrained(options.out / "final")


if __name__ == "__main__":
    main()
