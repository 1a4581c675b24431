# SPDX-License-Identifier: Apache-2.0
"""What IP, ICMP, UDP and TCP refused or had no room for in this network namespace (/proc/net/snmp, netstat, snmp6)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wirepath.path.counters.counter import Counter

__all__ = ["pairs", "read_protocol_losses", "snmp6"]

_NET = Path("/proc/thread-self/net")  # /proc/net would be that of the whole process
_SNMP = {
    "Ip.InHdrErrors": "ip_header",
    "Ip.InAddrErrors": "ip_address",
    "Ip.InUnknownProtos": "ip_proto",
    "Ip.InDiscards": "ip_discard",
    "Ip.ReasmFails": "ip_reassembly",
    "Icmp.InErrors": "icmp_error",
    "Udp.NoPorts": "udp_noport",
    "Udp.InErrors": "udp_errors",
    "Udp.RcvbufErrors": "udp_buffer",
    "Udp.InCsumErrors": "udp_checksum",
    "Udp.MemErrors": "udp_memory",
    "UdpLite.NoPorts": "udp_noport",
    "UdpLite.InErrors": "udp_errors",
    "UdpLite.RcvbufErrors": "udp_buffer",
    "Tcp.InErrs": "tcp_error",
    "Tcp.InCsumErrors": "tcp_checksum",
}
_NETSTAT = {
    "IpExt.InNoRoutes": "ip_noroute",
    "IpExt.InTruncatedPkts": "ip_truncated",
    "TcpExt.IPReversePathFilter": "ip_rpfilter",
    "TcpExt.ListenOverflows": "tcp_listen_overflow",
    "TcpExt.ListenDrops": "tcp_listen",
    "TcpExt.TCPReqQFullDrop": "tcp_request_full",
    "TcpExt.TCPBacklogDrop": "tcp_backlog",
    "TcpExt.TCPRcvQDrop": "tcp_buffer",
    "TcpExt.RcvPruned": "tcp_buffer",
    "TcpExt.OfoPruned": "tcp_pruned",
    "TcpExt.TCPOFODrop": "tcp_pruned",
    "TcpExt.PruneCalled": "tcp_prune_calls",
    "TcpExt.TCPZeroWindowDrop": "tcp_zero_window",
    "TcpExt.PFMemallocDrop": "tcp_memory",
    "TcpExt.TCPMinTTLDrop": "tcp_other",
    "TcpExt.TCPDeferAcceptDrop": "tcp_other",
    "TcpExt.TCPMD5NotFound": "tcp_other",
    "TcpExt.TCPMD5Unexpected": "tcp_other",
    "TcpExt.TCPMD5Failure": "tcp_other",
    "TcpExt.PAWSEstab": "tcp_other",
    "TcpExt.PAWSActive": "tcp_other",
    "TcpExt.LockDroppedIcmps": "icmp_locked",
}
_SNMP6 = {
    "Ip6InHdrErrors": "ip_header",
    "Ip6InTooBigErrors": "ip_too_big",
    "Ip6InNoRoutes": "ip_noroute",
    "Ip6InAddrErrors": "ip_address",
    "Ip6InUnknownProtos": "ip_proto",
    "Ip6InTruncatedPkts": "ip_truncated",
    "Ip6InDiscards": "ip_discard",
    "Ip6ReasmFails": "ip_reassembly",
    "Icmp6InErrors": "icmp_error",
    "Udp6NoPorts": "udp_noport",
    "Udp6InErrors": "udp_errors",
    "Udp6RcvbufErrors": "udp_buffer",
    "Udp6InCsumErrors": "udp_checksum",
    "Udp6MemErrors": "udp_memory",
}


def read_protocol_losses() -> list[Counter]:
    """Of the calling thread's network namespace. Raises OSError."""
    found: list[Counter] = []
    for file, names, parse in (("snmp", _SNMP, pairs), ("netstat", _NETSTAT, pairs), ("snmp6", _SNMP6, snmp6)):
        try:
            told = parse((_NET / file).read_text(encoding="ascii"))
        except FileNotFoundError:
            continue  # a kernel without IPv6
        found += _chosen(told, names, f"/proc/net/{file}")
    return found


def _chosen(told: dict[str, int], names: dict[str, str], file: str) -> Iterator[Counter]:
    """Those of the table; a kernel that does not count one has it not."""
    for name, row in names.items():
        if name in told:
            yield Counter(f"protocol.{row}", name, "", told[name], file)


def pairs(text: str) -> dict[str, int]:
    """Lines in pairs, as in /proc/net/snmp: `Udp: InErrors NoPorts`, `Udp: 0 3`."""
    lines = text.splitlines()
    found: dict[str, int] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        prefix, _, rest = names.partition(":")
        found |= {
            f"{prefix}.{name}": int(value)
            for name, value in zip(rest.split(), values.partition(":")[2].split(), strict=False)
        }
    return found


def snmp6(text: str) -> dict[str, int]:
    """A name and a number a line."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2}
