# SPDX-License-Identifier: Apache-2.0
"""What the NIC, its driver and the kernel say: everything that decides how an interface receives.

>>> from wirepath import nic
>>> eth0 = nic.read("eth0")
>>> eth0.rings.rx, eth0.missing
"""

from wirepath.nic.activity import Activity, Meter
from wirepath.nic.advice import TRAFFICS, Advice, Choice, advise
from wirepath.nic.binding import Binding, bind, bindings, unbind
from wirepath.nic.coalescing import Coalescing
from wirepath.nic.driver import Driver
from wirepath.nic.engines import Way, ways
from wirepath.nic.irqs import Irq
from wirepath.nic.leftovers import heal
from wirepath.nic.link import Link
from wirepath.nic.napi import Napi, NapiDefaults
from wirepath.nic.nic import Nic, names, read
from wirepath.nic.offloads import CAPTURE_OFFLOADS, CaptureOffload, Offload
from wirepath.nic.queues import Channels, QueueStats, Rings
from wirepath.nic.rates import FRAME_SIZES, LineRate, line_rates, packets_per_second, parse_speed
from wirepath.nic.rss import Rss
from wirepath.nic.softnet import SoftnetCpu, SoftnetLimits
from wirepath.nic.speed import Speed
from wirepath.nic.steering import QueueSteering
from wirepath.nic.tc import TcFilter
from wirepath.nic.timestamping import Timestamping
from wirepath.nic.xdp import Program, XdpFeatures

__all__ = [
    "CAPTURE_OFFLOADS",
    "FRAME_SIZES",
    "TRAFFICS",
    "Activity",
    "Advice",
    "Binding",
    "CaptureOffload",
    "Channels",
    "Choice",
    "Coalescing",
    "Driver",
    "Irq",
    "LineRate",
    "Link",
    "Meter",
    "Napi",
    "NapiDefaults",
    "Nic",
    "Offload",
    "Program",
    "QueueStats",
    "QueueSteering",
    "Rings",
    "Rss",
    "SoftnetCpu",
    "SoftnetLimits",
    "Speed",
    "TcFilter",
    "Timestamping",
    "Way",
    "XdpFeatures",
    "advise",
    "bind",
    "bindings",
    "heal",
    "line_rates",
    "names",
    "packets_per_second",
    "parse_speed",
    "read",
    "unbind",
    "ways",
]
