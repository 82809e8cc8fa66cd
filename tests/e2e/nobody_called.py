"""Run a command in a network of its own, where every packet that leaves the machine is seen.

In: a file to write to, and a command. Out: the command's exit code, and in the file, as JSON, each
(address, protocol, port) beyond loopback that any process of it has sent a packet to. The network
is a kernel namespace with nothing in it but a loopback device, which the way to everywhere leads
to: nothing gets out, whatever program tried, and what tried is on record. Needs root.
Run it: `unshare -n python tests/e2e/nobody_called.py FILE COMMAND...`
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

_SIOCADDRT = 0x890B
_SIOCSIFFLAGS = 0x8914
_SIOCSIFADDR = 0x8916
_UP_AND_RUNNING = 0x41
_ALL_PROTOCOLS = 3
_OURS = "198.18.0.1"  # of the range for tests of network devices (RFC 2544)


class _Address(ctypes.Structure):
    _fields_ = [
        ("family", ctypes.c_ushort),
        ("port", ctypes.c_ushort),
        ("address", ctypes.c_ubyte * 4),
        ("pad", ctypes.c_ubyte * 8),
    ]


class _Route(ctypes.Structure):
    """`struct rtentry` of the kernel."""

    _fields_ = [
        ("pad1", ctypes.c_ulong),
        ("to", _Address),
        ("gateway", _Address),
        ("mask", _Address),
        ("flags", ctypes.c_ushort),
        ("pad2", ctypes.c_short),
        ("pad3", ctypes.c_ulong),
        ("pad4", ctypes.c_void_p),
        ("metric", ctypes.c_short),
        ("device", ctypes.c_char_p),
        ("mtu", ctypes.c_ulong),
        ("window", ctypes.c_ulong),
        ("irtt", ctypes.c_ushort),
    ]


def make_network() -> None:
    """Switch loopback on and lead the way to everywhere over it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _UP_AND_RUNNING))
        # without an address of wider scope nobody would even try to send
        ours = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(_OURS))
        fcntl.ioctl(control, _SIOCSIFADDR, ours)
        route = _Route(flags=_UP_AND_RUNNING & 1, device=b"lo")
        for part in (route.to, route.gateway, route.mask):
            part.family = socket.AF_INET
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ioctl(control.fileno(), _SIOCADDRT, ctypes.byref(route)) != 0:
            raise OSError(ctypes.get_errno(), "no route over loopback")


def watch(over: threading.Event, seen: set[tuple[str, str, int]]) -> threading.Thread:
    """Note whom packets go to until `over`."""
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
    sniffer.bind(("lo", 0))
    sniffer.settimeout(0.5)

    def look() -> None:
        with sniffer:
            while not over.is_set():
                try:
                    packet = sniffer.recv(65_536)
                except TimeoutError:
                    continue
                if packet[12:14] == b"\x08\x00" and packet[30] != 127:
                    to = socket.inet_ntoa(packet[30:34])
                    start = 14 + (packet[14] & 0x0F) * 4
                    port = struct.unpack("!H", packet[start + 2 : start + 4])[0]
                    kind = {6: "tcp", 17: "udp"}.get(packet[23], str(packet[23]))
                    if to != _OURS:
                        seen.add((to, kind, port))

    thread = threading.Thread(target=look)
    thread.start()
    return thread


def main() -> int:
    make_network()
    over = threading.Event()
    seen: set[tuple[str, str, int]] = set()
    thread = watch(over, seen)
    try:
        code = subprocess.run(sys.argv[2:], check=False).returncode
    finally:
        over.set()
        thread.join()
        Path(sys.argv[1]).write_text(json.dumps(sorted(seen)), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
