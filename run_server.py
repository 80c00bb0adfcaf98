"""Starts FLAP Live: `python run_server.py --help`; `python run_server.py doctor` looks at the machine first.

`python run_server.py secret` and `python run_server.py token ROLE` let other people in (docs/security.md).
"""

import argparse
import asyncio
import logging
import sys
import time
from functools import partial
from typing import cast

from realtime.config import NEW_SECRET, ConfigError, ServerConfig, read_config
from realtime.doctor import examine
from realtime.render.link import RenderError
from realtime.render.messages import Rendering
from realtime.render.opening import open_pipeline
from realtime.render.renderer import Renderer
from realtime.telemetry.logs import LogFormat, set_up
from realtime.telemetry.traces import traces_to
from realtime.web.access import Grant, Role, make_token, new_secret
from realtime.web.requests import is_not_the_clients_mistake
from realtime.web.serving import serve

LONGEST_HOURS = 1e6  # a century


def diagnose(arguments: list[str]) -> int:
    """Prints what the doctor finds; the number of failures."""
    failures = 0
    for finding in examine(read_config(arguments)):
        print(finding, flush=True)
        failures += finding.state == "failed"
    return failures


def print_token(arguments: list[str]) -> None:
    """Prints a token signed with the server's secret, which is read from the same settings."""
    parser = argparse.ArgumentParser(prog="run_server.py token", description="makes a token (docs/security.md)")
    parser.add_argument("role", choices=[role.name.lower() for role in Role])
    parser.add_argument("--hours", type=float, default=12, help="how long it is good for (default: 12)")
    parser.add_argument("--session", help="for this session only")
    options, settings = parser.parse_known_args(arguments)
    if not 0 < options.hours < LONGEST_HOURS:
        parser.error(f"--hours must be more than 0 and less than {LONGEST_HOURS:g}, not {options.hours:g}")
    secret = read_config(settings).secret
    if secret is None:
        raise ConfigError(f"tokens are signed with the server's secret: {NEW_SECRET}")
    grant = Grant(Role[options.role.upper()], options.session)
    print(make_token(secret, grant, time.time() + options.hours * 3600))


async def run(config: ServerConfig) -> None:
    """Serves until a signal. Raises RenderError when the networks cannot be opened, OSError for the address."""
    log_format = cast(LogFormat, config.log_format)
    set_up(log_format)
    first, *others = (partial(open_pipeline, config, size) for size in config.picture_sizes)
    rendering = Rendering(first, smaller=next(iter(others), None), log_format=log_format)
    traces = traces_to(config.trace_to) if config.trace_to else None
    await serve(Renderer(rendering, config.max_sessions, traces=traces), config)


def main() -> None:
    if sys.platform == "win32":
        sys.exit(
            "FLAP Live runs on Linux and macOS. On Windows start it in WSL 2 (wsl --install), and open its page there or here."
        )
    set_up()
    logging.getLogger("aioice").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(is_not_the_clients_mistake)
    try:
        if sys.argv[1:2] == ["doctor"]:
            sys.exit(min(diagnose(sys.argv[2:]), 1))
        elif sys.argv[1:2] == ["secret"]:
            print(new_secret())
        elif sys.argv[1:2] == ["token"]:
            print_token(sys.argv[2:])
        else:
            asyncio.run(run(read_config()))
    except (RenderError, ConfigError, OSError) as error:
        sys.exit(f"FLAP Live cannot start: {error}")


if __name__ == "__main__":
    main()
