# SPDX-License-Identifier: Apache-2.0
"""What the NIC and its driver count of one interface: rtnetlink's counters, and the driver's own by ethtool."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from wirepath.nic.counters import link_counters, read_driver_counters
from wirepath.nic.driver import read_driver
from wirepath.nic.kernel import Kernel
from wirepath.nic.link import message_of
from wirepath.nic.xdp import attached_xdp
from wirepath.path.counters.counter import Counter

__all__ = ["driver_losses", "read_link_losses"]

_STATS64 = {
    "rx_missed_errors": "nic.missed",
    "rx_fifo_errors": "nic.fifo",
    "rx_over_errors": "nic.over",
    "rx_crc_errors": "nic.crc",
    "rx_length_errors": "nic.length",
    "rx_frame_errors": "nic.frame",
    "rx_errors": "nic.errors",
    "rx_dropped": "driver.dropped",
    "rx_nohandler": "driver.nohandler",
}


class _Known(NamedTuple):
    """Names of a driver's counters, and what they mean. ``#`` stands for a number."""

    driver: str
    name: str
    kind: str


_KNOWN = tuple(
    _Known(*row)
    for row in (
        ("veth", "rx_queue_#_drops", "driver.queue"),
        ("veth", "rx_queue_#_xdp_drops", "xdp.dropped"),
        ("veth", "rx_queue_#_xdp_tx_errors", "xdp.transmit"),
        ("veth", "rx_queue_#_xdp_redirect_errors", "xdp.redirect"),
        ("virtio_net", "rx_drops", "driver.queue"),
        ("virtio_net", "rx_xdp_drops", "xdp.dropped"),
        ("virtio_net", "rx#_drops", "driver.part"),
        ("virtio_net", "rx#_xdp_drops", "xdp.queue"),
        ("virtio_net", "rx_queue_#_drops", "driver.queue"),
        ("virtio_net", "rx_queue_#_xdp_drops", "xdp.dropped"),
        ("e1000|e1000e|igb|igc", "rx_no_buffer_count", "nic.no_buffer"),
        ("e1000|e1000e|igb|igc", "rx_short_length_errors|rx_long_length_errors", "nic.length"),
        ("e1000|e1000e", "alloc_rx_buff_failed", "driver.alloc"),
        ("igb|igc", "rx_queue_#_drops", "nic.queue"),
        ("igb|igc", "rx_queue_#_alloc_failed", "driver.alloc"),
        ("ixgbe|ixgbevf", "rx_no_dma_resources", "nic.no_buffer"),
        ("ixgbe|ixgbevf|i40e|ice|iavf", "alloc_rx_.*failed|rx_alloc_fail.*", "driver.alloc"),
        ("i40e|ice", "port\\.rx_dropped|rx_dropped.nic|port\\.rx_discards", "nic.missed"),
        ("i40e|ice", "port\\.rx_crc_errors|rx_crc_errors.nic", "nic.crc"),
        ("mlx5_core|mlx5e_rep", "rx_out_of_buffer|rx_discards_phy|rx_buffer_passed_thres_phy", "nic.missed"),
        ("mlx5_core", "rx_xdp_drop", "xdp.dropped"),
        ("mlx5_core", "rx#_xdp_drop", "xdp.queue"),
        ("mlx5_core", "rx_buff_alloc_err", "driver.alloc"),
        ("mlx5_core", "rx_steer_missed_packets", "nic.policy"),
        ("mlx4_en", "rx_dropped|rx#_dropped", "nic.missed"),
        ("mlx4_en", "rx_xdp_drop", "xdp.dropped"),
        ("ena", "bw_in_allowance_exceeded|pps_allowance_exceeded", "nic.policy"),
        ("ena", "conntrack_allowance_exceeded|linklocal_allowance_exceeded", "nic.policy"),
        ("ena", "queue_#_rx_page_alloc_fail|queue_#_rx_skb_alloc_fail", "driver.alloc"),
        ("ena", "queue_#_rx_xdp_drop", "xdp.dropped"),
        ("ena", "queue_#_rx_xdp_aborted|queue_#_rx_xdp_invalid", "xdp.aborted"),
        ("vmxnet3", "pkts rx OOB|rx buf alloc fail", "driver.alloc"),
        ("vmxnet3", "drv dropped rx total", "driver.queue"),
        ("vmxnet3", "xdp drops|rx xdp drops", "xdp.dropped"),
        ("bnxt_en", "rx_discard_pkts|rx_total_discard_pkts", "nic.missed"),
        ("bnxt_en", "rx_oom_discards|rx_total_oom_discards", "driver.alloc"),
        ("tg3|bnx2x|bnx2", "rx_discards|rx_fw_discards|rx_brb_discard", "nic.missed"),
        ("hv_netvsc", "rx_queue_#_xdp_drop", "xdp.dropped"),
        ("gve", "rx_dropped.*|rx_drops.*", "driver.queue"),
        ("r8169", "rx_missed", "nic.missed"),
    )
)
# What virtio_net counts as an XDP drop it counts as a drop, too.
_INCLUDING = {
    "virtio_net": (
        (("driver.queue", "rx_drops"), ("xdp.dropped", "rx_xdp_drops")),
        (("driver.queue", "rx_queue_#_drops"), ("xdp.dropped", "rx_queue_#_xdp_drops")),
    )
}
# Anything else that sounds like a loss on receiving.
_SOUNDS = re.compile(
    r"drop|discard|miss|no_?buf|no_dma|fifo|overrun|overflow|alloc.*fail|fail.*alloc|crc|out_of_buf", re.IGNORECASE
)
_SENDING = re.compile(r"(^|[\W_])tx|xmit|transmit|^peer|kick|wake", re.IGNORECASE)
_UNCOUNTED = {
    "generic": "nobody counts what generic XDP drops; newer kernels have a drop reason, XDP, while it is watched",
    "native": "the driver does not count what XDP drops",
    "offload": "the NIC does not tell what XDP drops",
}
_EACH = re.compile(r"\d+")


def read_link_losses(kernel: Kernel, name: str) -> list[Counter]:
    """Of one interface. Raises OSError: it is gone."""
    message = message_of(kernel.link(name)[1])
    counters = link_counters(message.stats64)
    found = [
        Counter(kind, field, name, counters[field], f"ip -s -s link show {name}")
        for field, kind in _STATS64.items()
        if field in counters
    ]
    found += _of_driver(kernel, name)
    counted = any(counter.kind == "xdp.dropped" for counter in found)
    found += [
        Counter("xdp.dropped", f"{program.mode} XDP", name, None, f"ip link show {name}", _UNCOUNTED[program.mode])
        for program in attached_xdp(message)
        if program.mode == "generic" or not counted
    ]
    return [replace(counter, number=message.ifindex) for counter in found]


def _of_driver(kernel: Kernel, name: str) -> list[Counter]:
    try:
        driver, told = read_driver(kernel, name, None).name, read_driver_counters(kernel, name)
    except OSError:
        return []  # it has no driver that counts
    return list(driver_losses(name, driver, told))


def driver_losses(name: str, driver: str, told: Mapping[str, int]) -> Iterator[Counter]:
    """The driver's counters that tell a loss on receiving: summed over queues."""
    sums: dict[tuple[str, str], int] = {}
    for field, value in told.items():
        kind = _kind(driver, field)
        if kind is not None and field.strip() not in _STATS64:
            key = kind, _EACH.sub("#", field.strip())
            sums[key] = sums.get(key, 0) + value
    for whole, part in _INCLUDING.get(driver, ()):
        if whole in sums and part in sums:
            sums[whole[0], f"{whole[1]} - {part[1]}"] = max(0, sums.pop(whole) - sums[part])
    for (kind, field), value in sums.items():
        yield Counter(kind, field, name, value, f"ethtool -S {name}")


def _kind(driver: str, field: str) -> str | None:
    plain = _EACH.sub("#", field.strip())
    for row in _KNOWN:
        if re.fullmatch(row.driver, driver) and re.fullmatch(row.name, plain):
            return row.kind
    if _SENDING.search(field) or not _SOUNDS.search(field):
        return None
    return "xdp.dropped" if "xdp" in field else "nic.other"
