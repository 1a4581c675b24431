# SPDX-License-Identifier: Apache-2.0
"""The stages, in the order in which a received packet comes to them."""

from wirepath.path.stages.arrival import irq, napi, ring
from wirepath.path.stages.delivery import application, delivery
from wirepath.path.stages.driver import allocation, generic_xdp, gro, xdp
from wirepath.path.stages.stack import bridge, netfilter, routing, taps, tc

__all__ = ["STAGES"]

STAGES = (
    ring,
    irq,
    napi,
    xdp,
    allocation,
    gro,
    generic_xdp,
    taps,
    tc,
    bridge,
    netfilter,
    routing,
    delivery,
    application,
)
"""What makes each stage; None: there is no such stage on this interface."""
