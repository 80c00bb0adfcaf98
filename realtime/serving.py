"""A server on an address, from start to a clean end."""

import asyncio
import signal

from aiohttp import web

from realtime.app import application
from realtime.config import ServerConfig
from realtime.renderer import Renderer
from realtime.server import Server


async def serve(renderer: Renderer, config: ServerConfig) -> None:
    """Serves until SIGINT or SIGTERM. Raises RenderError when the networks cannot be opened, OSError for the address."""
    server = Server(renderer, await renderer.start(), config)
    runner = web.AppRunner(application(server), access_log=None)
    await runner.setup()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await web.TCPSite(runner, config.host, config.port, shutdown_timeout=2).start()
        print(f"FLAP Live is ready: http://{config.host}:{runner.addresses[0][1]}/", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
