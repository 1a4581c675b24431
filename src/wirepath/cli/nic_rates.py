# SPDX-License-Identifier: Apache-2.0
"""`wirepath nic --rates` and `--watch`: what the link can carry, and what it carries now."""

from collections.abc import Iterator
from typing import Any

import click

from wirepath.cli.nic_screen import print_rows, section
from wirepath.nic import Activity, Nic, line_rates, packets_per_second
from wirepath.nic.rates import FCS_BYTES, HEADER_BYTES, payloads_per_second
from wirepath.printable import printable

__all__ = ["rates_object", "show_activity", "show_rates"]

_RECKONED_BPS, _RECKONED_PAYLOADS = 100_000_000, (1500, 46)


def rates_object(nic: Nic, activity: Activity, speed: int | None) -> dict[str, Any]:
    """As `nic --rates --json` says it."""
    bps = _speed(nic, speed)
    return {
        "speed_bps": bps,
        "line_rates": None if bps is None else line_rates(bps),
        "activity": activity,
        "packets_per_interrupt": activity.packets_per_interrupt,
    }


def show_rates(nic: Nic, activity: Activity, speed: int | None) -> None:
    """Arithmetic, then what was measured."""
    bps = _speed(nic, speed)
    click.secho(printable(f"{nic.name}: {_title(nic, bps, speed)}"), bold=True)
    if bps is not None:
        _show_line_rates(bps)
    section("The usual reckoning, and what it leaves out", _reckoned())
    click.echo()
    show_activity(nic, activity)
    if bps is not None:
        print_rows([("of the line", _share(activity, bps))])


def _speed(nic: Nic, asked: int | None) -> int | None:
    return asked if asked is not None else nic.speed.bps if nic.speed is not None else None


def _title(nic: Nic, bps: int | None, asked: int | None) -> str:
    if bps is None:
        return "the link tells no speed: --speed 10G reckons with one"
    text = f"{bps / 1e9:g} Gbit/s" if bps >= 10**9 else f"{bps / 1e6:g} Mbit/s"
    if asked is not None:
        return f"{text}, as asked"
    return f"{text}, which is a number that {nic.link.kind} gives itself, no limit" if nic.link.kind else text


def _show_line_rates(bps: int) -> None:
    click.echo()
    click.secho("The most that the link carries (reckoned: each frame with preamble 8 and gap 12 bytes)", bold=True)
    click.echo(f"  {'frame':>6}  {'packets/s':>12}  {'ns a packet':>12}  {'payload Mbit/s':>14}")
    for row in line_rates(bps):
        click.echo(
            f"  {row.frame_bytes:>6}  {row.packets_per_second:>12,.0f}  {row.ns_per_packet:>12,.1f}"
            f"  {row.goodput_bps / 1e6:>14,.1f}"
        )
    click.echo("  Frames are counted from the destination address to the FCS. If each packet interrupted, there would")
    click.echo("  be as many interrupts a second as packets.")


def _reckoned() -> Iterator[tuple[str, str]]:
    around = HEADER_BYTES + FCS_BYTES
    for payload in _RECKONED_PAYLOADS:
        reckoned = int(payloads_per_second(_RECKONED_BPS, payload))
        true = packets_per_second(_RECKONED_BPS, payload + around)
        yield (
            f"{payload} B",
            (
                f"100 Mbit/s divided by the payload alone gives {reckoned:,} packets, or interrupts, a second; "
                f"the wire carries {true:,.0f}"
            ),
        )
    yield "left out", "14 bytes of header, 4 of FCS, 8 of preamble, 12 of gap: 38 around each payload"


def show_activity(nic: Nic, activity: Activity) -> None:
    """What was measured."""
    click.secho(printable(f"{nic.name} now, measured over {activity.seconds:.2f} s"), bold=True)
    print_rows(_activity(activity))


def _activity(activity: Activity) -> Iterator[tuple[str, str]]:
    link = activity.link
    yield "received", f"{link['rx_packets']:,.0f} packets/s, {_bits(link['rx_bytes'])}"
    yield "sent", f"{link['tx_packets']:,.0f} packets/s, {_bits(link['tx_bytes'])}"
    lost = [f"{name} {link[name]:,.0f}/s" for name in ("rx_dropped", "rx_missed_errors", "rx_errors") if link[name]]
    yield "lost", ", ".join(lost) or "nothing that the interface counts"
    yield "interrupts", _interrupts(activity)
    yield "polls", _polls(activity)
    if activity.queues:
        yield "by queue", ", ".join(f"{name} {rate:,.0f} packets/s" for name, rate in activity.queues.items())
    if activity.softnet_processed is not None:
        yield "softirqs", _softirqs(activity)


def _softirqs(activity: Activity) -> str:
    return (
        f"{activity.softnet_processed:,.0f} packets/s on all interfaces, {activity.softnet_dropped or 0:,.0f} dropped, "
        f"{activity.softnet_squeezed or 0:,.0f} times/s out of budget"
    )


def _bits(bytes_per_second: float) -> str:
    return f"{bytes_per_second * 8 / 1e6:,.3f} Mbit/s without FCS"


def _interrupts(activity: Activity) -> str:
    figure = activity.interrupts
    if figure.value is None:
        return f"?: {figure.detail}"
    text = f"{figure.value:,.0f}/s"
    each = activity.packets_per_interrupt
    if each.value is not None:
        text += f", {each.value:.2f} packets (in and out) for each"
    busy = [f"{name} {rate:,.0f}" for name, rate in activity.interrupts_by_irq.items() if rate]
    return f"{text} ({', '.join(busy)})" if busy else text


def _polls(activity: Activity) -> str:
    polls = activity.polls
    if polls.value is None:
        return f"?: {polls.detail}"
    text = f"{polls.value:,.0f}/s"
    if activity.packets_per_poll.value is not None:
        text += f", {activity.packets_per_poll.value:.2f} packets received in each"
    return (
        f"{text}; {activity.empty_polls.value:,.0f}/s found none, {activity.full_polls.value:,.0f}/s left some behind"
    )


def _share(activity: Activity, bps: int) -> str:
    wire_bytes = activity.link["rx_bytes"] + activity.link["rx_packets"] * (FCS_BYTES + 20)
    return f"{wire_bytes * 8 / bps:.2%} of what it can receive, with FCS, preamble and gap"
