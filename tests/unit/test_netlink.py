# SPDX-License-Identifier: Apache-2.0
"""The netlink codec, on messages as kernels write them and on what is cut short."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from wirepath.linux.netlink import Attributes, Family, Netlink, attribute, attributes, listed

RTM_GETLINK = 18
IFINFO = struct.Struct("=BxHiII")


def test_attributes_are_padded_and_flagged() -> None:
    data = attribute(1, "eth0") + attribute(2, 7) + attribute(3, attribute(4, b"\1"), nested=True)
    assert len(data) % 4 == 0
    found = attributes(data)
    assert (found.text(1), found.number(2), found.nest(3).flag(4)) == ("eth0", 7, True)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_numbers_have_the_length_that_they_have(size: int) -> None:
    told = Attributes({1: (200).to_bytes(size, "little")})
    assert told.number(1) == 200
    assert Attributes({1: b"\xff" * size}).number(1, signed=True) == -1


def test_what_is_not_there_is_none() -> None:
    told = Attributes()
    assert (told.number(1), told.text(1), told.flag(1), told.members(1)) == (None, None, None, [])
    assert told.nest(1) == {}


def test_members_keep_their_order() -> None:
    nest = attribute(1, attribute(2, 5)) + attribute(1, attribute(2, 3))
    assert [member.number(2) for member in Attributes({9: nest}).members(9)] == [5, 3]


@pytest.mark.parametrize("cut", range(1, 12))
def test_what_is_cut_short_ends_the_list(cut: int) -> None:
    data = attribute(1, 1) + attribute(2, b"12345678")
    found = list(listed(data[:-cut]))
    assert found == [(1, struct.pack("=I", 1))]


def test_a_length_below_a_header_ends_the_list() -> None:
    assert list(listed(struct.pack("=HH", 0, 1) + bytes(60))) == []


def test_the_kernel_answers() -> None:
    with Netlink(socket.NETLINK_ROUTE) as route:
        names = {
            attributes(answer[IFINFO.size :]).text(3) for answer in route.dump(RTM_GETLINK, IFINFO.pack(0, 0, 0, 0, 0))
        }
        assert "lo" in names
        assert names == {name for _, name in socket.if_nameindex()}
        lo = route.ask(RTM_GETLINK, IFINFO.pack(0, 0, 0, 0, 0) + attribute(3, "lo"))
        assert IFINFO.unpack_from(lo)[2] == socket.if_nametoindex("lo")


class Changing:
    """A socket that answers dumps of three links, of which the first `interrupted` were overtaken by a change."""

    def __init__(self, interrupted: int) -> None:
        self.left = interrupted
        self.dumps = 0

    def send(self, asked: bytes) -> None:
        self.sequence = struct.unpack_from("=I", asked, 8)[0]
        self.dumps += 1

    def recv(self, _room: int) -> bytes:
        torn = self.left > 0
        self.left -= torn
        header = struct.Struct("=IHHII")
        links = [header.pack(20, 16, 0x12 if torn else 0x2, self.sequence, 0) + struct.pack("=I", self.dumps)] * 3
        return b"".join(links) + header.pack(20, 3, 0x2, self.sequence, 0) + struct.pack("=i", 0)


@pytest.mark.parametrize(("interrupted", "dumps"), [(0, 1), (3, 4), (100, 10)])
def test_a_dump_that_a_change_overtook_is_asked_for_again(interrupted: int, dumps: int) -> None:
    """What such a dump lists may lack something that was there all the time (netlink(7), NLM_F_DUMP_INTR)."""
    with Netlink(socket.NETLINK_ROUTE) as route:
        route._socket.close()
        route._socket = changing = Changing(interrupted)  # type: ignore[assignment]
        route.close = lambda: None  # type: ignore[method-assign]
        assert route.dump(RTM_GETLINK, b"") == [struct.pack("=I", dumps)] * 3
        assert changing.dumps == dumps


def test_a_refusal_is_an_error_with_its_number() -> None:
    with Netlink(socket.NETLINK_ROUTE) as route:
        with pytest.raises(OSError) as refused:  # noqa: PT011 (its number is checked)
            route.ask(RTM_GETLINK, IFINFO.pack(0, 0, 0, 0, 0) + attribute(3, "no-such-if"))
        assert refused.value.errno == errno.ENODEV
        assert route.dump(RTM_GETLINK, IFINFO.pack(0, 0, 0, 0, 0))  # the socket is in step afterwards


def test_a_family_that_this_kernel_does_not_have() -> None:
    with pytest.raises(OSError) as refused:  # noqa: PT011 (its number is checked)
        Family("wirepath-none")
    assert refused.value.errno == errno.ENOENT
