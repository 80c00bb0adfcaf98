"""A server on an address, from start to a clean end."""

import asyncio
import signal

from aiohttp import web

from realtime.app import application
from realtime.server import Server


async def serve(server: Server, host: str, port: int) -> None:
    """Serves until SIGINT or SIGTERM. Raises OSError when the address cannot be had."""
    runner = web.AppRunner(application(server), access_log=None)
    await runner.setup()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await web.TCPSite(runner, host, port, shutdown_timeout=2).start()
        print(f"FLAP Live is ready: http://{host}:{runner.addresses[0][1]}/", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
