"""A server on an address, from start to a clean end."""

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

from realtime.config import ServerConfig
from realtime.media.ice import confine_udp, read_ports
from realtime.memory import settle
from realtime.render.renderer import Renderer
from realtime.server import Server
from realtime.web.app import application
from realtime.web.opening_door import opening_application

EVERY_ADDRESS = ("0.0.0.0", "::", "")  # of this machine
KEEPALIVE_S = 75.0  # of a connection between requests: more than the minute after which proxies drop theirs
T = TypeVar("T")
logger = logging.getLogger(__name__)


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


class Signals:
    """SIGINT and SIGTERM, each of which is answered once."""

    def __init__(self) -> None:
        self._came = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._came.set)

    async def wait(self) -> None:
        """Until the next one."""
        await self._came.wait()
        self._came.clear()

    async def end(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` returns; None when a signal came first and has ended it."""
        working, waiting = asyncio.create_task(work), asyncio.create_task(self.wait())
        try:
            await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
            if working.done() and waiting.done():
                self._came.set()  # both at once: what comes next hears of the signal
            return working.result() if working.done() else None
        finally:
            working.cancel()
            waiting.cancel()
            await asyncio.wait((working, waiting))


async def serve(renderer: Renderer, config: ServerConfig) -> None:
    """Serves until SIGINT or SIGTERM, then lets sessions end (`drain_s`) unless another one comes.

    Raises RenderError when the networks cannot be opened, OSError for the address.
    """
    tls = read_certificate(config)
    if config.udp_ports:
        confine_udp(asyncio.get_running_loop(), read_ports(config.udp_ports))
    signals = Signals()
    waiting_room = _runner(opening_application(config))
    try:
        port = await _listen(waiting_room, config, config.port, tls)
        opened = await signals.end(renderer.start())
    finally:
        await waiting_room.cleanup()
    if opened is None:
        return
    server = Server(renderer, opened, config)
    runner = _runner(application(server))
    try:
        port = await _listen(runner, config, port, tls)
        settle()
        print("\n".join(addresses(config.host, port, is_secure=tls is not None)), flush=True)
        await signals.wait()
        await signals.end(server.drain())
    finally:
        await runner.cleanup()


def addresses(host: str, port: int, *, is_secure: bool) -> list[str]:
    """What is said of where to open the pages, in lines."""
    scheme, is_every_address = "https" if is_secure else "http", host in EVERY_ADDRESS
    named = "localhost" if is_every_address else f"[{host}]" if ":" in host else host
    lines = [f"FLAP Live is ready: {scheme}://{named}:{port}/"]
    if is_every_address:
        lines.append(
            f"From other machines: {scheme}://{socket.gethostname()}:{port}/?token=TOKEN, or this machine's address; "
            "python run_server.py token host makes one"
        )
        if not is_secure:
            lines.append("Browsers there give no microphone to http: docs/network.md has how to serve https")
    return lines


def _runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(app, access_log=None, shutdown_timeout=2, keepalive_timeout=KEEPALIVE_S)


async def _listen(runner: web.AppRunner, config: ServerConfig, port: int, tls: ssl.SSLContext | None) -> int:
    """The port that is listened to. Raises OSError."""
    await runner.setup()
    await web.TCPSite(runner, config.host, port, ssl_context=tls).start()
    return int(runner.addresses[0][1])
