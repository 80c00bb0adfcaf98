"""A captioned video of the avatar speaking a recorded sentence, made by a shipped bundle through the whole pipeline:

python -m benchmarks.sentence_video --speech ../shared/data/speech --clip sense_and_sensibility_01_austen_64kb-0870

The reader of this clip (LibriVox, public domain) is kept for testing: audio-to-FLAME has never heard him. `--speech` is the
folder that training.speech_corpus reads; its words.tsv has the time of each word.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks.lipsync import levelled
from benchmarks.lipsync_pictures import spoken
from benchmarks.machine import REPOSITORY
from engines.bundle import BundleError
from engines.engine import EngineError
from flap.config import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from realtime.config import ConfigError, ServerConfig
from realtime.media.disclosure import MARK, Disclosure
from realtime.render.opening import open_pipeline

SIDE, STRIP = 384, 56  # pixels of the picture and of the captions below it
LINE_LETTERS = 32
PALE, BRIGHT = (150, 150, 150), (255, 255, 255)
RATE = "24"  # libx264's constant rate factor

Word = tuple[str, float, float]  # start and end in seconds


def words_of(table: Path, clip: str) -> list[Word]:
    with table.open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["clip"] == clip]
    return [(row["word"], float(row["start_s"]), float(row["end_s"])) for row in rows if row["word"][0] not in "<["]


def captions(words: Sequence[Word]) -> list[list[Word]]:
    """Lines of at most LINE_LETTERS."""
    lines: list[list[Word]] = [[]]
    for word in words:
        if sum(len(w[0]) + 1 for w in lines[-1]) + len(word[0]) > LINE_LETTERS:
            lines.append([])
        lines[-1].append(word)
    return lines


def strip(lines: Sequence[Sequence[Word]], second: float) -> NDArray[np.uint8]:
    """The line that is spoken, and in it the words that have begun bright; RGB."""
    out = np.zeros((STRIP, SIDE, 3), np.uint8)
    line = next((line for line in lines if line and second < line[-1][2]), lines[-1])
    font, pixels = cv2.FontFace("sans"), 20

    def wide(text: str) -> int:
        return int(cv2.getTextSize((8 * SIDE, STRIP), text, (0, 0), font, pixels, 500)[2])

    space = wide("n n") - wide("nn")
    left = (SIDE - sum(wide(word) for word, _, _ in line) - space * (len(line) - 1)) // 2
    for word, start_s, _ in line:
        cv2.putText(out, word, (left, 36), BRIGHT if second >= start_s else PALE, font, pixels, 500)
        left += wide(word) + space
    return out


def write_video(path: Path, pictures: Sequence[NDArray[np.uint8]], sound: NDArray[np.float32], words: Sequence[Word]) -> None:  # fmt: skip
    """H.264 and AAC in MP4; `sound` at 16 kHz."""
    lines, label = captions(words), Disclosure()
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as out:
        out.metadata["comment"] = MARK
        video = out.add_stream("libx264", rate=FRAME_RATE_HZ, options={"crf": RATE, "preset": "slow"})
        video.width, video.height, video.pix_fmt = SIDE, SIDE + STRIP, "yuv420p"
        audio = out.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        for i, picture in enumerate(pictures):
            large = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            whole = np.concatenate([label.burn(np.asarray(large, np.uint8)), strip(lines, (i + 0.5) / FRAME_RATE_HZ)])
            out.mux(video.encode(av.VideoFrame.from_ndarray(whole)))
        out.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray((sound * 32_767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        out.mux(audio.encode(frame))
        out.mux(audio.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--clip", default="sense_and_sensibility_01_austen_64kb-0870")
    parser.add_argument("--presenter", help="id; the bundle's first if it is not given")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "images" / "sentence.mp4")
    options = parser.parse_args()
    folder = options.speech / "ljspeech_librivox"
    try:
        pipeline, cast = open_pipeline(ServerConfig(bundle=options.bundle, presenter=options.presenter))
        sound = np.asarray(soundfile.read(folder / f"{options.clip}.flac", dtype="float32")[0], np.float32)
        words = words_of(folder / "words.tsv", options.clip)
    except (BundleError, ConfigError, EngineError, OSError) as error:
        sys.exit(f"cannot make a video: {error}")
    pictures = spoken(pipeline, options.presenter or next(iter(cast)), sound)
    write_video(options.out, pictures, np.clip(levelled(sound), -1, 1), words)
    print(f"{options.out}: {len(pictures) / FRAME_RATE_HZ:.1f} s, {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
