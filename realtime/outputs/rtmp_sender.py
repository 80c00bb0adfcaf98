"""Sends packets to an RTMP server, as a program of its own: python -m realtime.outputs.rtmp_sender

FFmpeg's connection to a server that does not answer stops the whole interpreter, so it must not be the media process's.
The first line of the input is `order`, packets as `framed` writes them follow; a line is said when the server has
taken the first ones. What goes wrong is said in the last line and by the exit status.
"""

import struct
import sys
from fractions import Fraction
from typing import BinaryIO

import av

from realtime.outputs.muxer import Muxer
from realtime.signals import leave_signals_to_server

HEAD = struct.Struct("!BBqIII")  # picture, key frame, pts, time base (numerator, denominator), bytes
CONNECTED = b"connected\n"


def order(url: str, picture_size: int) -> bytes:
    """Where to, and how large the pictures are."""
    return f"{picture_size} {url}\n".encode()


def framed(is_picture: bool, packet: av.Packet) -> bytes:
    base = packet.time_base
    head = HEAD.pack(is_picture, packet.is_keyframe, packet.pts, base.numerator, base.denominator, packet.size)
    return head + bytes(packet)


def read_packet(source: BinaryIO) -> tuple[bool, av.Packet] | None:
    """The next packet, None at the end."""
    head = source.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    is_picture, is_key_frame, pts, numerator, denominator, size = HEAD.unpack(head)
    packet = av.Packet(source.read(size))
    packet.pts, packet.time_base, packet.is_keyframe = pts, Fraction(numerator, denominator), bool(is_key_frame)
    return bool(is_picture), packet


def send(source: BinaryIO, said: BinaryIO) -> None:
    """Raises OSError or av.FFmpegError when the server is not there, refuses, or goes away."""
    picture_size, url = source.readline().decode().strip().split(" ", 1)
    muxer = Muxer(url, "flv", picture_size=int(picture_size), sound=True)
    connected = False
    try:
        while waiting := read_packet(source):
            muxer.put(*waiting)
            if not connected and waiting[0] and waiting[1].is_keyframe:
                said.write(CONNECTED)
                said.flush()
                connected = True
    finally:
        muxer.close()


def main() -> None:
    leave_signals_to_server()
    try:
        send(sys.stdin.buffer, sys.stdout.buffer)
    except (OSError, av.FFmpegError) as error:  # its words have the address, and with it the stream key
        print(getattr(error, "strerror", None) or type(error).__name__, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
