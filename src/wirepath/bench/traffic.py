# SPDX-License-Identifier: Apache-2.0
"""Real traffic between the lab's two hosts: HTTP both ways, DNS, pings, TCP handshakes, VLAN tags, jumbo frames.

`python -m wirepath.bench.traffic LEFT RIGHT SECONDS` sends it, where LEFT and RIGHT are paths of network namespaces,
and prints what was done as a JSON object.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import http.server
import json
import os
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from wirepath.bench.frames import checksum, frame, number_of
from wirepath.bench.lab import RIGHT_ADDRESS, VLAN_ID
from wirepath.bench.namespace import Namespace

_PATIENCE_S = 5.0
_PACE_BYTES_PER_S = 40_000_000  # so that an exchange is a flow, not a burst of a millisecond
_SO_MAX_PACING_RATE = 47  # asm-generic/socket.h
_ETHERNET_MSS = 1448  # bytes of a TCP segment in a frame of 1514
_HTTP_PORT, _DNS_PORT, _ECHO_PORT = 80, 53, 7
_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26
_HAS_TAG = ((0x20, 0, 0, 0xFFFFF000 + 48), (0x15, 0, 1, 1), (0x06, 0, 0, 0x40000), (0x06, 0, 0, 0))  # `vlan`, in cBPF
_TAG = (0x8100, VLAN_ID)


class _Handler(http.server.BaseHTTPRequestHandler):
    """GET /N answers with N bytes; PUT takes what it is given."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, _PACE_BYTES_PER_S)
        super().setup()

    def do_GET(self) -> None:
        size = int(self.path.removeprefix("/"))
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(os.urandom(4096) * (size // 4096))

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


class _HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that connects and leaves is what the handshakes are."""


def _answer(query: bytes) -> bytes:
    """A DNS answer: the address of whatever was asked for is the right host's."""
    header = query[:2] + struct.pack(">HHHHH", 0x8580, 1, 1, 0, 0)
    record = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(RIGHT_ADDRESS)
    return header + query[12:] + record


def _query(number: int) -> bytes:
    labels = (f"host{number}", "lab", "example")
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    return struct.pack(">HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + name + struct.pack(">HH", 1, 1)


def _echo_request(number: int, size: int) -> bytes:
    payload = bytes(index & 0xFF for index in range(size))
    head = struct.pack(">BBHHH", 8, 0, 0, 0x5750, number & 0xFFFF)
    total = checksum(head + payload)
    return head[:2] + struct.pack(">H", total) + head[4:] + payload


class Right:
    """The host that serves: HTTP, DNS, and an echo of tagged frames."""

    def __init__(self, namespace: Namespace) -> None:
        with namespace.entered():
            self._http = _HttpServer((RIGHT_ADDRESS, _HTTP_PORT), _Handler)
            self._dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._dns.bind((RIGHT_ADDRESS, _DNS_PORT))
            self._tagged = _tagged_socket()
        for serve in (self._http.serve_forever, self._serve_dns, self._echo_tagged):
            threading.Thread(target=serve, daemon=True).start()

    def _serve_dns(self) -> None:
        while True:
            query, client = self._dns.recvfrom(512)
            self._dns.sendto(_answer(query), client)

    def _echo_tagged(self) -> None:
        while True:
            number, port = _receive_tagged(self._tagged)
            if port == _ECHO_PORT:
                self._tagged.send(frame(number, 200, port=5000, tags=(_TAG,)))


def _tagged_socket() -> socket.socket:
    """For frames with a VLAN tag: not every kernel has VLAN sub-interfaces. It gets those that came in with one."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    buffer = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _HAS_TAG))
    program = struct.pack("@HP", len(_HAS_TAG), ctypes.addressof(buffer))
    made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    made.bind(("eth0", _ETH_P_ALL))
    return made


def _receive_tagged(tagged: socket.socket) -> tuple[int, int]:
    """(number, UDP port) of the next known frame. The kernel has taken its tag out of the bytes."""
    while True:
        data = tagged.recv(65536)
        number = number_of(data)
        if number is not None:
            return number, int.from_bytes(data[36:38], "big")


class Left:
    """The host that asks. Every exchange is checked: an answer that does not come is an error."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        with namespace.entered():
            self._dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            self._tagged = _tagged_socket()
        for each in (self._dns, self._icmp, self._tagged):
            each.settimeout(_PATIENCE_S)
        self._number = 0

    def _next(self) -> int:
        self._number += 1
        return self._number

    @contextlib.contextmanager
    def _connected(self, mss: int = 0) -> Iterator[socket.socket]:
        with self._namespace.entered():
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with made:
            made.settimeout(_PATIENCE_S)
            made.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, _PACE_BYTES_PER_S)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if mss:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
            made.connect((RIGHT_ADDRESS, _HTTP_PORT))
            yield made

    def _http(self, method: str, path: str, body: bytes | None, mss: int) -> int:
        with self._connected(mss) as connected:
            connection = http.client.HTTPConnection(RIGHT_ADDRESS)
            connection.sock = connected
            connection.request(method, path, body)
            return len(connection.getresponse().read())

    def download(self, size: int, mss: int = 0) -> None:
        """HTTP GET; without `mss` in jumbo frames."""
        if self._http("GET", f"/{size}", None, mss) != size:
            raise ConnectionError("a download came short")

    def upload(self, size: int, mss: int = 0) -> None:
        """HTTP PUT."""
        self._http("PUT", "/", bytes(size), mss)

    def resolve(self) -> None:
        """A DNS question and its answer."""
        query = _query(self._next())
        self._dns.sendto(query, (RIGHT_ADDRESS, _DNS_PORT))
        if self._dns.recv(512) != _answer(query):
            raise ConnectionError("a DNS answer is not the one to the question")

    def ping(self, size: int = 56) -> None:
        """An ICMP echo of `size` bytes."""
        request = _echo_request(self._next(), size)
        self._icmp.sendto(request, (RIGHT_ADDRESS, 0))
        while self._icmp.recv(65536)[20:][4:] != request[4:]:
            pass

    def handshake(self) -> None:
        """A TCP connection that is opened and closed."""
        with self._connected():
            pass

    def ask_tagged(self) -> None:
        """A datagram with a VLAN tag, and one back."""
        number = self._next()
        self._tagged.send(frame(number, 120, port=_ECHO_PORT, tags=(_TAG,)))
        while _receive_tagged(self._tagged) != (number, 5000):
            pass


def _round(left: Left) -> list[tuple[str, int, Callable[[], None]]]:
    """(what, how often, how) of one round."""
    return [
        ("HTTP downloads", 1, lambda: left.download(1 << 19, _ETHERNET_MSS)),
        ("HTTP downloads in jumbo frames", 1, lambda: left.download(1 << 20)),
        ("HTTP uploads", 1, lambda: left.upload(1 << 19, _ETHERNET_MSS)),
        ("DNS answers", 40, left.resolve),
        ("pings", 20, left.ping),
        ("jumbo pings", 5, lambda: left.ping(8000)),
        ("TCP handshakes", 10, left.handshake),
        ("VLAN-tagged answers", 20, left.ask_tagged),
    ]


def send(left: Namespace, right: Namespace, seconds: float) -> dict[str, int]:
    """Traffic for so long; how often each thing was done. Raises OSError when an exchange fails."""
    Right(right)
    host = Left(left)
    done: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for what, times, exchange in _round(host):
            for _ in range(times):
                exchange()
            done[what] += times
    return dict(done)


def main() -> None:
    """The command line."""
    left, right, seconds = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        print(json.dumps(send(Namespace.at(left, "left"), Namespace.at(right, "right"), float(seconds))))


if __name__ == "__main__":
    main()
