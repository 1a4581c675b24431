# SPDX-License-Identifier: Apache-2.0
"""The commands that there are."""

from typing import NamedTuple

__all__ = ["COMMANDS", "Row"]


class Row(NamedTuple):
    """A command: its name, the module whose ``command`` it is, and what it does in one line."""

    name: str
    module: str
    summary: str


COMMANDS = (
    Row("capture", "wirepath.cli.capture", "Capture packets from interfaces: print, write, count."),
    Row("read", "wirepath.cli.read", "Read capture files: print, filter, merge, convert, follow."),
    Row("info", "wirepath.cli.info", "Say what is in capture files."),
    Row("send", "wirepath.cli.send", "Send capture files, or traffic that is made, at a chosen rate."),
    Row("trace", "wirepath.cli.trace", "Follow packets through the kernel, function by function, to their end."),
    Row("copies", "wirepath.cli.copies", "Count the CPU's copies of a packet, function by function, for each engine."),
    Row("filter", "wirepath.cli.filter", "Show a filter as classic BPF and as eBPF, and compare them over packets."),
    Row("engines", "wirepath.cli.engines", "List the ways to capture, and whether each can run here."),
    Row("nic", "wirepath.cli.nic", "Say everything that decides how a NIC receives, and which engine to use."),
    Row("path", "wirepath.cli.path", "Show the stages that a packet passes from the wire to the application."),
    Row("drops", "wirepath.cli.drops", "Say where packets are lost, stage by stage, and what helps."),
)
