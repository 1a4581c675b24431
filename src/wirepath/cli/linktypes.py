# SPDX-License-Identifier: Apache-2.0
"""Names of link types, as tcpdump's -L and -y have them (https://www.tcpdump.org/linktypes.html)."""

from typing import NamedTuple

import click

__all__ = ["LinkType", "describe", "number_of"]


class LinkType(NamedTuple):
    """A row of the list."""

    number: int
    name: str
    description: str


LINKTYPES = (
    LinkType(0, "NULL", "BSD loopback"),
    LinkType(1, "EN10MB", "Ethernet"),
    LinkType(6, "IEEE802", "Token ring"),
    LinkType(8, "SLIP", "SLIP"),
    LinkType(9, "PPP", "PPP"),
    LinkType(10, "FDDI", "FDDI"),
    LinkType(50, "PPP_SERIAL", "PPP over serial"),
    LinkType(51, "PPP_ETHER", "PPPoE"),
    LinkType(101, "RAW", "Raw IP"),
    LinkType(104, "C_HDLC", "Cisco HDLC"),
    LinkType(105, "IEEE802_11", "802.11"),
    LinkType(107, "FRELAY", "Frame Relay"),
    LinkType(108, "LOOP", "OpenBSD loopback"),
    LinkType(113, "LINUX_SLL", "Linux cooked v1"),
    LinkType(127, "IEEE802_11_RADIO", "802.11 plus radiotap header"),
    LinkType(143, "DOCSIS", "DOCSIS"),
    LinkType(187, "BLUETOOTH_HCI_H4", "Bluetooth HCI UART transport layer"),
    LinkType(189, "USB_LINUX", "USB with Linux header"),
    LinkType(195, "IEEE802_15_4", "IEEE 802.15.4 with FCS"),
    LinkType(201, "BLUETOOTH_HCI_H4_WITH_PHDR", "Bluetooth HCI UART transport layer plus pseudo-header"),
    LinkType(220, "USB_LINUX_MMAPPED", "USB with padded Linux header"),
    LinkType(227, "CAN_SOCKETCAN", "CAN-bus with SocketCAN headers"),
    LinkType(228, "IPV4", "Raw IPv4"),
    LinkType(229, "IPV6", "Raw IPv6"),
    LinkType(239, "NFLOG", "Linux netfilter log messages"),
    LinkType(242, "IP_OVER_IB_SNOOP", "RFC 4391 IP-over-Infiniband"),
    LinkType(253, "NETLINK", "Linux netlink"),
    LinkType(276, "LINUX_SLL2", "Linux cooked v2"),
)


def describe(number: int) -> str:
    """``EN10MB (Ethernet)``; the number where it has no name here."""
    for row in LINKTYPES:
        if row.number == number:
            return f"{row.name} ({row.description})"
    return str(number)


def number_of(text: str) -> int:
    """Of a name or a number.

    Raises:
        click.BadParameter: there is no such link type in the list.
    """
    if text.isdecimal():
        return int(text)
    wanted = text.upper().removeprefix("DLT_").removeprefix("LINKTYPE_")
    for row in LINKTYPES:
        if wanted in (row.name, "ETHERNET" if row.number == 1 else row.name):
            return row.number
    names = ", ".join(row.name for row in LINKTYPES)
    raise click.BadParameter(f"'{text}' is no link type. There are: {names}, and any by its number", param_hint="-y")
