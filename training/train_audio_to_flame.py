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
    "ljspeech": 1.5,
    "aishell": 1.5,
    "kokoro": 1.0,
    "espeak": 0.5,
    "facegood": 10.0,
}  # of a clip
READY_TO_SHUT = (0.4, 1.4)  # added to the logits of p and f: a contact missed is seen sooner than one too many
MOST_GAIN = 1.25
DROPOUT = 0.2
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


def run(network: AudioToFlame, clip: Clip) -> np.ndarray:
    """Weights `[frames, outputs]` of a whole clip, each with its own sound."""
    sound = clip.sound * SPEECH_LEVEL / (np.sqrt((clip.sound**2).mean()) + 1e-4)
    features = features_of(np.pad(sound, (0, LOOKAHEAD_FRAMES * FRAME_SAMPLES)))
    usable = len(features) // HOPS_PER_FRAME * HOPS_PER_FRAME
    made = network(torch.from_numpy(features[None, :usable]), *network.init_state(1))[0][0].numpy()
    return np.asarray(made[LOOKAHEAD_FRAMES:])


def shut_logits(network: AudioToFlame, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """What the network says of each closure `[n, 2]` at its best within a frame, and how shut the lips ought to be."""
    sound = clip.sound * SPEECH_LEVEL / (np.sqrt((clip.sound**2).mean()) + 1e-4)
    features = features_of(np.pad(sound, (0, LOOKAHEAD_FRAMES * FRAME_SAMPLES)))
    usable = len(features) // HOPS_PER_FRAME * HOPS_PER_FRAME
    known = network.encode(torch.from_numpy(features[None, :usable]), network.init_state(1))[0]
    logits = network.shut(known)[0].numpy()[LOOKAHEAD_FRAMES:]
    around = np.stack([np.roll(logits, shift, axis=0) for shift in (-1, 0, 1)]).max(0)
    return around, visemes.closures(clip.marks, len(logits))


@torch.no_grad()
def uncalibrate(network: AudioToFlame) -> None:
    """Takes back what `calibrate` has set."""
    network.gain.fill_(1)
    network.shut_bias.zero_()


@torch.no_grad()
def calibrate(network: AudioToFlame, clips: Sequence[Clip]) -> None:
    """Sets how readily lips shut, then scales each shape to move as far as in `clips`, as least squares makes it smaller."""
    network.shut_bias.copy_(torch.tensor(READY_TO_SHUT))
    made, truths = [], []
    for clip in clips:
        shapes = run(network, clip)
        made.append(shapes)
        truths.append(truth(clip, clip.marks, clip.sound, len(shapes))[0])
    spread_made, spread_truth = (np.concatenate(part).std(0) for part in (made, truths))
    network.gain.copy_(torch.from_numpy((spread_truth / (spread_made + 1e-3)).clip(1, MOST_GAIN)))


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
        earlier = load(options.begin_from) if options.begin_from else None
    except OSError as error:
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
    calibrate(network, [clip for clip in train if clip.marks and clip.source in ("librispeech", "kokoro")][::6])
    print(f"finished: {report(network, held)}")
    network.save_pretrained(options.out / "final")


if __name__ == "__main__":
    main()
