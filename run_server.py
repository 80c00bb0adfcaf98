"""Starts FLAP Live: `python run_server.py --help`; `python run_server.py doctor` looks at the machine first."""

import asyncio
import logging
import sys
from functools import partial

from realtime.config import ConfigError, ServerConfig, read_config
from realtime.doctor import examine
from realtime.opening import open_pipeline
from realtime.render_link import RenderError
from realtime.render_messages import Rendering
from realtime.renderer import Renderer
from realtime.serving import serve


def diagnose(arguments: list[str]) -> int:
    """Prints what the doctor finds; the number of failures."""
    failures = 0
    for finding in examine(read_config(arguments)):
        print(finding, flush=True)
        failures += finding.state == "failed"
    return failures


async def run(config: ServerConfig) -> None:
    """Serves until a signal. Raises RenderError when the networks cannot be opened, OSError for the address."""
    await serve(Renderer(Rendering(partial(open_pipeline, config)), config.max_sessions), config)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("aioice").setLevel(logging.WARNING)
    try:
        if sys.argv[1:2] == ["doctor"]:
            sys.exit(min(diagnose(sys.argv[2:]), 1))
        config = read_config()
        asyncio.run(run(config))
    except (RenderError, ConfigError, OSError) as error:
        sys.exit(f"FLAP Live cannot start: {error}")


if __name__ == "__main__":
    main()
