"""Trains audio-to-FLAME on phone-aligned and video-tracked speech:

    python -m training.train_audio_to_flame --speech ../shared/data/speech --out runs/audio_to_flame

LJSpeech gives phones, which a coarticulation model turns into mouth shapes; GRID gives the shapes that a tracker measured
on real video. Both are shown with random gain, noise and tone; silence and noise alone must leave the mouth closed.
Held out: the last ten LJSpeech clips and the last fifty GRID clips, of the same two speakers.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from flap.audio_features import AudioFeatures
from flap.audio_to_flame import AudioToFlame
from flap.config import FRAME_SAMPLES
from flap.speech import HOPS_PER_FRAME, LOOKAHEAD_FRAMES, OUTPUTS
from training import checkpoint, visemes
from training.schedule import cosine_rate

Clip = tuple[np.ndarray, np.ndarray]  # sound [n], weights [frames, outputs]
PIECE_FRAMES = 100
BATCH = 16


def loudness(sound: np.ndarray, frames: int) -> np.ndarray:
    """Energy of each frame relative to the loudest, 0..1."""
    padded = np.pad(sound, (0, max(0, frames * FRAME_SAMPLES - len(sound))))[: frames * FRAME_SAMPLES]
    level = np.sqrt((padded.reshape(frames, -1) ** 2).mean(1))
    return np.clip(level / (np.percentile(level, 95) + 1e-6), 0, 1).astype(np.float32)


def aligned_clips(folder: Path) -> dict[str, Clip]:
    phones: dict[str, list[tuple[str, float, float]]] = {}
    with (folder / "phones.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            phones.setdefault(row["clip"], []).append((row["phone"], float(row["start_s"]), float(row["end_s"])))
    clips = {}
    for name, marks in phones.items():
        sound = soundfile.read(folder / f"{name}.flac", dtype="float32")[0]
        frames = len(sound) // FRAME_SAMPLES
        clips[name] = sound, visemes.targets(marks, frames, loudness(sound, frames))
    return clips


def tracked_clips(folder: Path) -> dict[str, Clip]:
    """GRID: measured blendshapes, the resting mouth of each clip taken out."""
    with np.load(folder / "face_coefficients.npz", allow_pickle=False) as data:
        names, clip_names = [str(n) for n in data["blendshape_names"]], [str(n) for n in data["clips"]]
        shapes = data["blendshapes"].astype(np.float32)
    columns = [names.index(name) for name in OUTPUTS]
    clips = {}
    for name, measured in zip(clip_names, shapes[:, :, columns], strict=True):
        path = folder / f"{Path(name).stem}.flac"
        if path.exists():
            weights = np.clip(measured - np.percentile(measured, 10, axis=0), 0, 1)
            weights[:, 0] *= 1.3  # the tracker reads a small mouth in a small picture as less open
            weights[:, OUTPUTS.index("browInnerUp")] *= 0.5
            clips[name] = soundfile.read(path, dtype="float32")[0], weights
    return clips


def features_of(sound: np.ndarray) -> np.ndarray:
    extractor = AudioFeatures()
    return extractor.step(sound.astype(np.float32), extractor.init_state())[0]


def piece(clips: list[Clip], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features `[400, 41]` and weights `[100, outputs]`, delayed by the look-ahead."""
    length = (PIECE_FRAMES + LOOKAHEAD_FRAMES) * FRAME_SAMPLES
    sound, weights = np.zeros(length, np.float32), np.zeros((PIECE_FRAMES + LOOKAHEAD_FRAMES, len(OUTPUTS)), np.float32)
    if rng.random() > 0.08:
        source, truth = clips[rng.integers(len(clips))]
        available = min(len(source) // FRAME_SAMPLES, len(truth))
        start = int(rng.integers(0, max(1, available - PIECE_FRAMES)))
        count = min(available - start, len(weights))
        at = int(rng.integers(0, len(weights) - count + 1))
        sound[at * FRAME_SAMPLES : (at + count) * FRAME_SAMPLES] = source[
            start * FRAME_SAMPLES : (start + count) * FRAME_SAMPLES
        ]
        weights[at : at + count] = truth[start : start + count]
        sound *= 0.1 / (np.sqrt((sound**2).mean()) + 1e-4)
    sound *= 10 ** rng.uniform(-0.6, 0.4)
    tilt = rng.uniform(-0.5, 0.5)
    sound = sound + tilt * np.concatenate([[0], sound[:-1]]).astype(np.float32)
    noise = rng.standard_normal(length).astype(np.float32)
    smoothing = rng.uniform(0, 0.9)
    for _ in range(2):
        noise = noise + smoothing * np.roll(noise, 1)
    sound = sound + noise * 10 ** rng.uniform(-4.5, -2.2)
    delayed = np.concatenate([np.zeros((LOOKAHEAD_FRAMES, len(OUTPUTS)), np.float32), weights])[: len(weights)]
    return features_of(sound.astype(np.float32))[: PIECE_FRAMES * HOPS_PER_FRAME], delayed[:PIECE_FRAMES]


def loss_of(network: AudioToFlame, features: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Squared error of position and velocity; closures count more than openings."""
    made = network(features, *network.init_state(len(features)))[0]
    weight = torch.ones(len(OUTPUTS))
    weight[0] = 3.0
    closed = 1 + 2.0 * (truth[..., 4:5] > 0.25)
    return ((made - truth).square() * weight * closed).mean() + 2.0 * (
        (made.diff(dim=1) - truth.diff(dim=1)).square() * weight
    ).mean()


def run(network: AudioToFlame, sound: np.ndarray, frames: int) -> np.ndarray:
    """Weights `[frames or a few less, outputs]` of a whole clip, each with its own sound."""
    features = features_of(sound[: frames * FRAME_SAMPLES] * 0.1 / (np.sqrt((sound**2).mean()) + 1e-4))
    usable = len(features) // HOPS_PER_FRAME * HOPS_PER_FRAME
    made = network(torch.from_numpy(features[None, :usable]), *network.init_state(1))[0][0].numpy()
    return np.asarray(made[LOOKAHEAD_FRAMES:frames])


@torch.no_grad()
def match_spread(network: AudioToFlame, clips: list[Clip], most: float = 1.5) -> None:
    """Sets `gain` so that each shape moves as far as in `clips`: least squares makes what is uncertain smaller."""
    made, truth = zip(
        *((run(network, sound, min(len(sound) // FRAME_SAMPLES, len(shapes))), shapes) for sound, shapes in clips),
        strict=True,
    )
    spread_made, spread_truth = (np.concatenate(part).std(0) for part in (made, truth))
    network.gain.copy_(torch.from_numpy((spread_truth / (spread_made + 1e-3)).clip(1, most)))


@torch.no_grad()
def correlation(network: AudioToFlame, clips: list[Clip]) -> float:
    """Mean correlation of jaw opening with its target over clips."""
    values = []
    for sound, truth in clips:
        frames = min(len(sound) // FRAME_SAMPLES, len(truth))
        made = run(network, sound, frames)[:, 0]
        values.append(np.corrcoef(made, truth[: len(made), 0])[0, 1])
    return float(np.nanmean(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    aligned, tracked = aligned_clips(options.speech / "ljspeech_librivox"), tracked_clips(options.speech / "grid_s1")
    aligned_names, tracked_names = list(aligned), list(tracked)
    train = [aligned[n] for n in aligned_names[:-10]] * 4 + [tracked[n] for n in tracked_names[:-50]]
    held = {"aligned": [aligned[n] for n in aligned_names[-10:]], "tracked": [tracked[n] for n in tracked_names[-50:]]}
    network = AudioToFlame()
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.01)
    average = checkpoint.Average(network)
    parts = {"network": network, "optimiser": optimiser, "average": average}
    progress = checkpoint.resume(options.out / "state.pt", parts)
    rng = np.random.default_rng(progress.step)
    started = time.monotonic() - progress.elapsed_s
    while (elapsed := time.monotonic() - started) < options.minutes * 60:
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(2e-3, progress.step, elapsed / (options.minutes * 60))
        features, truth = (
            torch.from_numpy(np.stack(part)) for part in zip(*(piece(train, rng) for _ in range(BATCH)), strict=True)
        )
        loss = loss_of(network, features, truth)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        progress.step += 1
        average.update(network, progress.step)
        if progress.step % 200 == 0:
            progress.elapsed_s = elapsed
            checkpoint.save(options.out / "state.pt", progress, parts)
            measured = AudioToFlame()
            measured.load_state_dict(average.weights)
            figures = " ".join(f"{name} {correlation(measured, clips):.3f}" for name, clips in held.items())
            print(
                f"step {progress.step} {elapsed:.0f} s loss {loss.item():.4f} | held-out jaw correlation {figures}",
                flush=True,
            )
    network.load_state_dict(average.weights)
    match_spread(network, train[::8])
    network.save_pretrained(options.out / "final")


if __name__ == "__main__":
    main()
