"""UDP ports that face-tracking apps send to; nothing listens unless a port is set (docs/sources.md)."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

from realtime.allowance import Allowance
from realtime.config import ServerConfig
from realtime.drive.mocap import IFACIALMOCAP_PORT, IFACIALMOCAP_START, Parser, Vmc, ifacialmocap, live_link
from realtime.drive.osc import BadPacket
from realtime.errors import Conflict
from realtime.protocol.directives import DriveFrame

PACKETS_PER_S = 400  # of a port and of usual size: VMC sends a picture in several
USUAL_PACKET_BYTES = 1500  # a longer one counts as several: reading takes as long as there are bytes
START_PERIOD_S = 2.0
MOST_VMC_SENDERS = 16
Drive = Callable[[DriveFrame, str], None]  # a frame and who sends it
logger = logging.getLogger(__name__)


class MocapReceivers:
    """Owns the ports. What is no packet of its app, comes from elsewhere or too often is counted and changes nothing."""

    def __init__(self, config: ServerConfig, drive: Drive):
        self.received: Counter[str] = Counter()  # packets by source
        self.refused: Counter[str] = Counter()
        self._config, self._drive = config, drive
        self._ports: dict[str, asyncio.DatagramTransport] = {}
        self._asking: asyncio.Task[None] | None = None
        self._vmc: dict[str, Vmc] = {}

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports that listen, by source."""
        return {source: transport.get_extra_info("sockname")[1] for source, transport in self._ports.items()}

    async def start(self) -> None:
        """Opens the ports that are set. Raises OSError for one that is taken."""
        for source, port, parser in self._wanted():
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda source=source, parser=parser: _Port(source, parser, self._config.drive_senders, self._take),  # type: ignore[misc]
                local_addr=(self._config.drive_host, port),
            )
            self._ports[source] = transport
        if "ifacialmocap" in self._ports and self._config.drive_senders:
            self._asking = asyncio.create_task(self._ask(), name="ask iFacialMocap")

    def _wanted(self) -> list[tuple[str, int, Parser]]:
        config = self._config
        parsers: dict[str, tuple[int | None, Parser]] = {
            "ifacialmocap": (config.ifacialmocap_port, ifacialmocap),
            "live_link": (config.live_link_port, live_link),
            "vmc": (config.vmc_port, Vmc()),
        }
        return [(source, port, parser) for source, (port, parser) in parsers.items() if port]

    def close(self) -> None:
        if self._asking:
            self._asking.cancel()
        for transport in self._ports.values():
            transport.close()

    def _take(self, source: str, parser: Parser, packet: bytes, sender: str) -> None:
        self.received[source] += 1
        try:
            frame = self._of(sender)(packet) if isinstance(parser, Vmc) else parser(packet)
            if frame is not None:
                self._drive(frame, sender)
        except (BadPacket, Conflict) as error:
            self.refuse(source, str(error))

    def _of(self, sender: str) -> Vmc:
        """VMC says what has changed, so each sender has a reader of its own: one that is refused changes nobody's face."""
        if sender not in self._vmc and len(self._vmc) >= MOST_VMC_SENDERS:
            self._vmc.clear()
        return self._vmc.setdefault(sender, Vmc())

    def refuse(self, source: str, why: str) -> None:
        self.refused[source] += 1
        if self.refused[source] == 1:
            logger.warning("%s: a packet is refused: %s; /metrics counts the others", source, why)

    async def _ask(self) -> None:
        """Asks the phones to send until they do: iFacialMocap waits for that."""
        before = -1
        while True:
            if self.received["ifacialmocap"] == before:
                for phone in self._config.drive_senders:
                    with suppress(OSError):
                        self._ports["ifacialmocap"].sendto(IFACIALMOCAP_START, (phone, IFACIALMOCAP_PORT))
            before = self.received["ifacialmocap"]
            await asyncio.sleep(START_PERIOD_S)


class _Port(asyncio.DatagramProtocol):
    """One port; packets of senders that are not allowed, and more than are allowed, are dropped unread."""

    def __init__(
        self, source: str, parser: Parser, senders: tuple[str, ...], take: Callable[[str, Parser, bytes, str], None]
    ):
        self._source, self._parser, self._senders, self._take = source, parser, senders, take
        self._allowance = Allowance(PACKETS_PER_S, PACKETS_PER_S / 4)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        cost = max(1.0, len(data) / USUAL_PACKET_BYTES)
        parser: Parser = self._parser
        if self._senders and addr[0] not in self._senders:  # which leaves the others their allowance
            parser = _of_a_stranger
        elif not self._allowance.take(time.monotonic(), cost):
            parser = _too_many
        self._take(self._source, parser, data, addr[0])


def _of_a_stranger(packet: bytes) -> DriveFrame | None:
    raise BadPacket("its sender is not one of drive_senders")


def _too_many(packet: bytes) -> DriveFrame | None:
    raise BadPacket(f"more than {PACKETS_PER_S} packets a second, or fewer that are longer")
