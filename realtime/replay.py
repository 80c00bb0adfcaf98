"""Makes a recorded session again, without server and network: python -m realtime.replay RECORDING

Says whether coefficients and pictures are the recorded ones to the last bit. They are on the machine that recorded them, with the
same bundle, engine and threads; elsewhere a processor may round differently.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from engines.bundle import BundleError
from engines.engine import EngineError
from realtime.config import ConfigError, ServerConfig
from realtime.control.state import ControlState
from realtime.pipeline import AvatarPipeline, AvatarState
from realtime.recording import Header, RecordedChunk, RecordingError, bundle_identity, checksum, read_recording
from realtime.render.opening import open_pipeline


@dataclass
class Replayed:
    """How a replay went; a `different_..` is the number of the first chunk that was not the recorded one."""

    chunks: int = 0
    drawn: int = 0
    commands: int = 0
    different_faces: int | None = None
    different_pictures: int | None = None

    @property
    def identical(self) -> bool:
        return self.chunks > 0 and self.different_faces is None and self.different_pictures is None


def replay(pipeline: AvatarPipeline, header: Header, recorded: Iterable[RecordedChunk]) -> Replayed:
    """Every chunk in order, as the render process made it. Raises KeyError for a presenter that is not there."""
    done, shown = Replayed(), ""
    state: AvatarState | None = None
    for chunk in recorded:
        if state is None or chunk.opened:
            control = state.control if state else ControlState()
            state, shown = replace(pipeline.init_state(chunk.presenter, header.seed), control=control), chunk.presenter
        if chunk.presenter != shown:
            state, shown = pipeline.with_presenter(state, chunk.presenter), chunk.presenter
        steps = chunk.steps if chunk.drawn else 0
        step, state = pipeline.step(chunk.sound, chunk.commands, replace(state, chunk=chunk.chunk), steps)
        done.chunks, done.commands = done.chunks + 1, done.commands + len(chunk.commands)
        if checksum(step.faces) != chunk.faces_crc and done.different_faces is None:
            done.different_faces = chunk.chunk
        if step.frames is not None:
            done.drawn += 1
            if checksum(step.frames) != chunk.pictures_crc and done.different_pictures is None:
                done.different_pictures = chunk.chunk
    return done


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, help="file that a server with --recordings-folder has written")
    parser.add_argument("--bundle", type=Path, default=ServerConfig().bundle)
    parser.add_argument("--presenters-folder", type=Path, default=ServerConfig().presenters_folder)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    try:
        header, recorded = read_recording(options.recording)
        if header.bundle != bundle_identity(options.bundle):
            print(f"recorded with {header.bundle}, not {bundle_identity(options.bundle)}: it will differ")
        config = ServerConfig(
            bundle=options.bundle, presenters_folder=options.presenters_folder, engine=header.engine,
            threads=header.threads, steps=header.steps, variant=header.variant, background=header.background,
            picture_size=str(header.picture_size),
        )  # fmt: skip
        pipeline, _ = open_pipeline(config, config.picture_sizes[0])
        done = replay(pipeline, header, recorded)
    except (RecordingError, BundleError, EngineError, ConfigError, OSError) as error:
        sys.exit(f"cannot replay: {error}")
    except KeyError as error:
        sys.exit(f"cannot replay: presenter {error} is not in the bundle or --presenters-folder")
    print(f"{done.chunks} chunks, {done.drawn} drawn, {done.commands} commands: ", end="")
    print("identical" if done.identical else f"different from chunk {_first(done)} on")
    if options.json:
        print(json.dumps({**asdict(done), "identical": done.identical}))
    sys.exit(0 if done.identical else 1)


def _first(done: Replayed) -> int | None:
    return min((n for n in (done.different_faces, done.different_pictures) if n is not None), default=None)


if __name__ == "__main__":
    main()
