"""A server on an address, from start to a clean end."""

import asyncio
import signal
import ssl

from aiohttp import web

from realtime.app import application
from realtime.config import ServerConfig
from realtime.ice import confine_udp, read_ports
from realtime.renderer import Renderer
from realtime.server import Server


def read_certificate(config: ServerConfig) -> ssl.SSLContext | None:
    """What HTTPS needs; None for HTTP. Raises OSError when the files are no certificate and its key."""
    if config.tls_certificate is None or config.tls_key is None:
        return None
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        tls.load_cert_chain(config.tls_certificate, config.tls_key)
    except OSError as error:
        files = f"{config.tls_certificate} and {config.tls_key}"
        raise OSError(f"tls_certificate and tls_key ({files}) cannot be used: {error}") from error
    return tls


async def serve(renderer: Renderer, config: ServerConfig) -> None:
    """Serves until SIGINT or SIGTERM. Raises RenderError when the networks cannot be opened, OSError for the address."""
    tls = read_certificate(config)
    if config.udp_ports:
        confine_udp(asyncio.get_running_loop(), read_ports(config.udp_ports))
    server = Server(renderer, await renderer.start(), config)
    runner = web.AppRunner(application(server), access_log=None)
    await runner.setup()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await web.TCPSite(runner, config.host, config.port, shutdown_timeout=2, ssl_context=tls).start()
        scheme = "https" if tls else "http"
        print(f"FLAP Live is ready: {scheme}://{config.host}:{runner.addresses[0][1]}/", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
