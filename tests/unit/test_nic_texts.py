# SPDX-License-Identifier: Apache-2.0
"""What `wirepath.nic` reads from text, as several kernels write it."""

from __future__ import annotations

import pytest

from wirepath.linux.sysfs import cpus_in_mask
from wirepath.nic.irqs import Irq, interrupts, named_for_queue
from wirepath.nic.softnet import softnet

SOFTNET_4_19 = """\
0002ced5 00000003 00000007 00000000 00000000 00000000 00000000 00000000 00000000 00000011 00000002
000330c2 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
"""
SOFTNET_6_1 = """\
00002a3f 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000004 00000000
000012d9 00000005 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000003
"""
SOFTNET_6_18 = """\
0002ced5 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000009 00000001 \
00000005 00000004
"""


def test_softnet_of_4_19_has_no_backlog_and_its_lines_are_counted() -> None:
    first, second = softnet(SOFTNET_4_19)
    assert (first.cpu, first.processed, first.dropped, first.time_squeeze) == (0, 0x2CED5, 3, 7)
    assert (first.received_rps, first.flow_limit, first.backlog) == (0x11, 2, None)
    assert second.cpu == 1


def test_softnet_of_6_1_names_its_cpus() -> None:
    first, third = softnet(SOFTNET_6_1)
    assert (first.cpu, first.backlog, first.time_squeeze) == (0, 4, 1)
    assert (third.cpu, third.dropped) == (3, 5)


def test_softnet_of_6_18_has_two_more_columns() -> None:
    (only,) = softnet(SOFTNET_6_18)
    assert (only.cpu, only.backlog) == (1, 9)


INTERRUPTS_6_1 = """\
            CPU0       CPU2
   0:         44          0   IO-APIC   2-edge      timer
   9:          0          0   IO-APIC   9-fasteoi   acpi
  11:         21          3   IO-APIC  11-fasteoi   uhci_hcd:usb1, eth1
  27:        517         12   PCI-MSI 49152-edge      eth0-rx-0
  28:          1          2   PCI-MSI 49153-edge      eth0-tx-0
 NMI:          0          0   Non-maskable interrupts
 ERR:          0
"""
INTERRUPTS_6_18 = """\
           CPU0       CPU1       
 37:          0          0 PCI-MSIX-0000:00:03.0   0-edge      virtio2-config
 38:          0      10886 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0
LOC:     180574     182451   Local timer interrupts
"""  # noqa: W291 (as the kernel writes it)
INTERRUPTS_ARM = """\
           CPU0       CPU1
 11:       6432       5123     GICv3  30 Level     arch_timer
 52:          7          8   ITS-MSI 524288 Edge      eth0-TxRx-0
"""


def test_interrupts_of_6_1() -> None:
    lines = {line.number: line for line in interrupts(INTERRUPTS_6_1)}
    assert sorted(lines) == [0, 9, 11, 27, 28]
    assert lines[27].counts == {0: 517, 2: 12}
    assert (lines[27].chip, lines[27].actions) == ("PCI-MSI", "eth0-rx-0")
    assert lines[11].actions == "uhci_hcd:usb1, eth1"


def test_interrupts_of_6_18() -> None:
    config, receiving = interrupts(INTERRUPTS_6_18)
    assert (config.number, config.actions) == (37, "virtio2-config")
    assert (receiving.chip, receiving.actions) == ("PCI-MSIX-0000:00:03.0", "virtio2-input.0")
    assert receiving.counts == {0: 0, 1: 10886}


def test_interrupts_of_an_arm_machine() -> None:
    _, nic = interrupts(INTERRUPTS_ARM)
    assert (nic.number, nic.chip, nic.actions) == (52, "ITS-MSI", "eth0-TxRx-0")


def test_interrupts_while_a_cpu_comes() -> None:
    """The first line was written before it came, or after it went: what cannot be told apart is left out."""
    assert interrupts("      CPU0  CPU1\n 27:  517  PCI-MSI 458752-edge  eth0-rx-0\n") == []
    (line,) = interrupts("      CPU0\n 27:  517  12  PCI-MSI 458752-edge  eth0-rx-0\n")
    assert line.number == 27


@pytest.mark.parametrize(
    ("names", "queue", "expected"),
    [
        (["virtio2-config", "virtio2-output.0", "virtio2-input.0"], 0, "virtio2-input.0"),
        (["virtio2-config", "virtio2-input.0", "virtio2-input.1"], 1, "virtio2-input.1"),
        (["eth0", "eth0-TxRx-0", "eth0-TxRx-1"], 1, "eth0-TxRx-1"),
        (["eth0-tx-0", "eth0-rx-0"], 0, "eth0-rx-0"),
        (["mlx5_comp0@pci:0000:01:00.0", "mlx5_async0@pci:0000:01:00.0"], 0, "mlx5_comp0@pci:0000:01:00.0"),
        (["i40e-eth0-TxRx-3"], 0, None),
        (["virtio2-config", "virtio2-output.0"], 0, None),
    ],
)
def test_the_interrupt_of_a_queue_by_its_name(names: list[str], queue: int, expected: str | None) -> None:
    irqs = [Irq(number, name, "", {}, None, None) for number, name in enumerate(names)]
    found = named_for_queue(irqs, queue)
    assert (found.name if found else None) == expected


def test_a_mask_in_groups_of_32_cpus() -> None:
    assert cpus_in_mask("00000001,80000002") == (1, 31, 32)
    assert cpus_in_mask("0") == ()
