# SPDX-License-Identifier: Apache-2.0
"""Expressions of pcap-filter(7): each of its keywords, its examples, and random ones.

Without `gateway`, which looks names up in /etc/ethers, `ip broadcast`, which needs an interface's netmask, and what
only OpenBSD's and FreeBSD's packet filters answer.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

ETHERNET, SUNATM, WIFI, COOKED, RAW_IP = 1, 123, 105, 113, 101

MAC: Final = "01:00:5e:00:00:01"
V6: Final = "2001:db8::1"

KEYWORDS: Final = [
    *[f"{way}host 10.1.0.7" for way in ("", "src ", "dst ", "src or dst ", "src and dst ", "ip ", "arp ", "rarp ")],
    *[f"{way}{V6}" for way in ("host ", "ip6 host ", "ip6 src ", "dst host ")],
    *[f"ether {way} {MAC}" for way in ("src", "dst", "host")],
    *["net 10.1", "src net 10.1.0.0/24", "dst net 10", "net 10.1.0.0 mask 255.255.255.0", "ip6 net 2001:db8::/32"],
    *[f"{way}port 53" for way in ("", "src ", "dst ", "tcp ", "udp ", "tcp src ", "udp dst ", "sctp ")],
    *[f"{way}portrange 50-100" for way in ("", "src ", "dst ", "tcp ", "udp dst ")],
    *["less 80", "greater 80", "len = 60", "len > 100 and len <= 1514"],
    *[f"{version} proto {protocol}" for version in ("ip", "ip6") for protocol in ("17", "\\tcp", "\\icmp", "\\ah")],
    *["proto 6", "tcp", "udp", "icmp", "icmp6", "igmp", "igrp", "pim", "ah", "esp", "vrrp", "carp", "sctp"],
    *["ip", "ip6", "arp", "rarp", "atalk", "aarp", "decnet", "iso", "stp", "ipx", "netbeui", "lat", "moprc", "mopdl"],
    *["ether proto 0x88cc", "ether proto \\arp", "ether proto \\sca", "ether proto \\loopback"],
    *["ether broadcast", "broadcast", "ether multicast", "multicast", "ip multicast", "ip6 multicast"],
    *["decnet src 10.15", "decnet dst 10.15", "decnet host 10.15"],
    *["clnp", "esis", "isis", "l1", "l2", "iih", "lsp", "snp", "csnp", "psnp", "iso proto \\clnp"],
    *[
        "vlan",
        "vlan 5",
        "vlan 6 and ip",
        "vlan and vlan",
        "vlan 6 and vlan 5 and udp port 53",
        "not vlan",
        "vlan or ip",
    ],
    *["mpls", "mpls 100000", "mpls and mpls 1024 and host 10.1.0.7", "pppoed", "pppoes", "pppoes 7 and ip"],
    *["geneve", "geneve 5", "geneve and ip", "geneve 0xb and vlan and tcp port 80"],
    *["not tcp", "! udp", "tcp or udp and not port 53", "(tcp or udp) && ip || arp"],
    *[f"ether[14] {sign} ether[15] = 5" for sign in ("+", "-", "*", "&", "|", "^", "/", "%")],
    *[f"ether[12:2] {sign} 3 > 5" for sign in ("+", "-", "*", "&", "|", "^", "/", "%", "<<", ">>")],
    *[f"ether[14] {relation} 0x45" for relation in ("=", "==", "!=", "<", ">", "<=", ">=")],
    *["-ether[14] > 5", "ether[0:4] & 0xffffff00 = 0", "ip[0] = 0x45", "ip6[6] = 58", "tcp[13] = 2", "udp[4:2] < 30"],
    *[
        "icmp[icmptype] = icmp-echo",
        "icmp[icmpcode] = 0",
        "icmp6[icmp6type] = icmp6-echo",
        "arp[6:2] = 1",
        "rarp[7] = 3",
    ],
    *["tcp[tcpflags] & (tcp-syn|tcp-ack|tcp-urg|tcp-push|tcp-fin|tcp-rst|tcp-ece|tcp-cwr) != 0", "sctp[0:2] = 80"],
    *["link[0] & 1 = 1", "atalk[0] = 1", "decnet[0] = 1", "igmp[0] = 0x11", "pim[0] = 0x20", "vrrp[0] = 0x21"],
]

EXAMPLES: Final = [
    "host 10.1.0.7 and (10.1.0.8 or 10.1.0.9)",
    "ip host 10.1.0.7 and not 10.1.0.8",
    "net 10.1",
    "ip and not net 10.1",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net 10.1",
    "tcp[tcpflags] & (tcp-rst|tcp-ack) == (tcp-rst|tcp-ack)",
    "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
    "host 10.1.0.7 and ip[2:2] > 576",
    "ether[0] & 1 = 0 and ip[16] >= 224",
    "icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply",
    "ether[0] & 1 != 0",
    "ip[0] & 0xf != 5",
    "ip[6:2] & 0x1fff = 0",
    "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
    "vlan 100 && vlan 200",
    "vlan && vlan 300 && ip",
    "mpls 100000 && mpls 1024",
    "mpls && mpls 1024 && host 192.9.200.1",
    "pppoes 0x27 && ip",
    "geneve 0xb && ip",
    "udp port 53 or tcp port 53",
    "dst port ftp or ftp-data or domain",
]

OTHER_LINKS: Final = [
    *[(COOKED, text) for text in ("ip", "tcp port 80", "host 10.1.0.7", "inbound", "outbound")],
    *[(RAW_IP, text) for text in ("ip", "ip6", "udp port 53", "ip[8] < 64", "tcp[13] & 2 != 0", "net 10.1.0.0/16")],
    *[
        (WIFI, f"wlan {which} {MAC}")
        for which in ("addr1", "addr2", "addr3", "addr4", "ra", "ta", "src", "dst", "host")
    ],
    *[(WIFI, text) for text in ("type mgt", "type ctl", "type data subtype qos-data", "subtype beacon", "dir tods")],
    *[(WIFI, text) for text in ("ip", "tcp port 80", "udp[4:2] > 20", "multicast")],
    *[
        (SUNATM, text)
        for text in ("vpi 5", "vci 7", "lane", "oamf4sc", "oamf4ec", "oamf4", "oam", "metac", "bcc", "sc")
    ],
    *[(SUNATM, text) for text in ("ilmic", "connectmsg", "metaconnect", "llc", "ip", "lane and udp port 53")],
]
"""(linktype, expression) of keywords that are about other links than Ethernet."""

LOOPS: Final = ["ip protochain 6", "ip6 protochain 17", "protochain 6"]
"""What libpcap compiles to a loop, which no kernel takes."""


def _numbers() -> st.SearchStrategy[str]:
    return st.one_of(
        st.integers(0, 70).map(str), st.integers(0, 0xFFFFFFFF).map(hex), st.just("len"), st.just("0xffffffff")
    )


def _arithmetic() -> st.SearchStrategy[str]:
    leaf = st.one_of(_numbers(), st.tuples(st.sampled_from(["ether", "ip", "tcp", "udp"]), st.integers(0, 70)).map(_at))
    return st.recursive(leaf, _compound, max_leaves=6)


def _at(where: tuple[str, int]) -> str:
    return f"{where[0]}[{where[1]}]"


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"])
    sizes = st.sampled_from(["", ":2", ":4"])
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        st.tuples(inner, sizes).map(lambda parts: f"ether[{parts[0]}{parts[1]}]"),
        st.tuples(inner, sizes).map(lambda parts: f"ip[{parts[0]}{parts[1]}]"),
    )


def expressions() -> st.SearchStrategy[str]:
    """Random ones. libpcap refuses some: those that divide by zero or shift too far by constants, for example."""
    relations = st.sampled_from(["=", "!=", "<", ">", "<=", ">="])
    leaf = st.one_of(
        st.tuples(_arithmetic(), relations, _arithmetic()).map(" ".join),
        st.sampled_from(KEYWORDS).map(lambda text: f"({text})"),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
            inner.map(lambda text: f"not ({text})"),
        ),
        max_leaves=5,
    )
