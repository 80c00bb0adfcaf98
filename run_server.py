"""Starts FLAP Live: `python run_server.py --help`; `python run_server.py doctor` looks at the machine first."""

import asyncio
import logging
import sys
from dataclasses import replace

from engines.bundle import BundleError, open_bundle
from engines.engine import EngineError
from flap.presenter_folder import PresenterFolder
from realtime.audio_to_flame import AudioToFlameStage
from realtime.cast import Cast
from realtime.config import ConfigError, ServerConfig, read_config
from realtime.doctor import examine
from realtime.idle_motion import IdleMotion
from realtime.pipeline import AvatarPipeline
from realtime.portrait import PortraitStage
from realtime.server import Server
from realtime.serving import serve
from realtime.voice import VoiceGate


def build(config: ServerConfig) -> Server:
    """The server with its bundle opened. Raises BundleError, EngineError or ConfigError."""
    bundle = open_bundle(config.bundle, provider=config.engine, threads=config.threads)
    cast = Cast(bundle.presenters, PresenterFolder(config.presenters_folder))
    if config.presenter and config.presenter not in cast:
        raise ConfigError(f"no presenter {config.presenter!r}: choose one of {', '.join(cast)}")
    audio_to_flame = AudioToFlameStage(bundle.engines["audio_to_flame"])
    portrait = PortraitStage(replace(bundle, presenters=cast), config.steps)
    return Server(AvatarPipeline(VoiceGate(), audio_to_flame, IdleMotion(), portrait), cast, config)


def diagnose(arguments: list[str]) -> int:
    """Prints what the doctor finds; the number of failures."""
    failures = 0
    for finding in examine(read_config(arguments)):
        print(finding, flush=True)
        failures += finding.state == "failed"
    return failures


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("aioice").setLevel(logging.WARNING)
    try:
        if sys.argv[1:2] == ["doctor"]:
            sys.exit(min(diagnose(sys.argv[2:]), 1))
        config = read_config()
        asyncio.run(serve(build(config), config.host, config.port))
    except (BundleError, EngineError, ConfigError, OSError) as error:
        sys.exit(f"FLAP Live cannot start: {error}")


if __name__ == "__main__":
    main()
