# SPDX-License-Identifier: Apache-2.0
"""``wirepath nic``."""

import contextlib
import dataclasses
import json
import sys
import time
from typing import Any

import click

from wirepath import nic
from wirepath.cli.nic_rates import rates_object, show_activity, show_rates
from wirepath.cli.nic_screen import show_list, show_nic
from wirepath.cli.waiting import Seconds
from wirepath.errors import NotFoundError
from wirepath.figure import Figure

__all__ = ["as_object", "command"]

_CLEAR = "\x1b[H\x1b[2J"


class Speed(click.ParamType[int]):
    """10G, 2.5G, 100M."""

    name = "SPEED"

    def convert(self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None) -> int:
        """Bits a second."""
        return value if isinstance(value, int) else nic.parse_speed(str(value))


class SecondsOrNone(Seconds):
    """Of an option whose value may be left out."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A word that is no number was meant as the interface."""
        try:
            float(value)
        except ValueError:
            self.fail(f"'{value}' is not a number of seconds. Name the interface first: wirepath nic {value} --watch")
        return super().convert(value, param, ctx)


@click.command(short_help="Say everything that decides how a NIC receives, and which engine to use.")
@click.argument("interface", required=False, metavar="[IFACE]")
@click.option("--netns", metavar="NAME", help="In this network namespace: a name, a path or a process id.")
@click.option(
    "--for",
    "traffic",
    type=click.Choice(nic.TRAFFICS),
    metavar="TRAFFIC",
    help="Recommend an engine for many-small, bulk, low-latency or low-cpu.",
)
@click.option("--all", "everything", is_flag=True, help="Also every offload and every counter.")
@click.option("--rates", is_flag=True, help="What the link can carry by frame size, beside what it carries now.")
@click.option("--speed", type=Speed(), metavar="SPEED", help="For --rates, where the link tells none: 10G, 100M.")
@click.option(
    "--interval",
    type=Seconds(min=0.05),
    default=1.0,
    metavar="SECONDS",
    help="How long --rates measures; 1 second.",
)
@click.option(
    "--watch",
    type=SecondsOrNone(min=0.05),
    is_flag=False,
    flag_value=1.0,
    metavar="[SECONDS]",
    help="Measure rates again and again, every second or so many.",
)
@click.option("--bind", "driver", metavar="DRIVER", help="Take the NIC from the kernel: vfio-pci, uio_pci_generic.")
@click.option("--unbind", is_flag=True, help="Give the NIC back to the kernel's driver.")
@click.option("--force", is_flag=True, help="With --bind, also the interface of the default route.")
@click.option("--json", "as_json", is_flag=True, help="Objects, for machines (docs/json.md).")
def command(
    interface: str | None,
    netns: str | None,
    traffic: str | None,
    everything: bool,
    rates: bool,
    speed: int | None,
    interval: float,
    watch: float | None,
    driver: str | None,
    unbind: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Say what decides how the network interface IFACE receives packets, and which engine to use.

    Driver, queues, rings, offloads, interrupts, polling, XDP and tc programs, clocks, counters; then each engine and
    mode, with the reason where it does not work. Without IFACE, a line for each interface. What needs privilege is left
    out without it, and named at the end.

    With --bind, IFACE (or a PCI address) is taken from the kernel, for the engine dpdk, and with --unbind given back.
    """
    _heal(netns)
    if driver is not None or unbind:
        _give(interface, driver, unbind, force, as_json)
    elif interface is None:
        _need_interface(rates or watch is not None or traffic is not None or speed is not None)
        _list(netns, as_json)
    elif watch is not None:
        _watch(interface, netns, watch, as_json)
    elif rates:
        _rates(interface, netns, speed, interval, as_json)
    else:
        _show(interface, netns, traffic, everything, as_json)


def _heal(netns: str | None) -> None:
    healed, left = nic.heal(netns)
    if healed:
        click.echo(f"wirepath: a capture that was killed had left {healed} settings changed: put back", err=True)
    for place, name in left:
        click.echo(f"wirepath: a capture that was killed has left {name} of {place} changed: run with sudo", err=True)


def _need_interface(asked: bool) -> None:
    if asked:
        raise click.UsageError(f"name an interface: {', '.join(nic.names())}")


def _give(device: str | None, driver: str | None, unbind: bool, force: bool, as_json: bool) -> None:
    if device is None or (driver is not None and unbind):
        raise click.UsageError("name one interface or PCI address, and one of --bind DRIVER and --unbind")
    done = nic.unbind(device) if driver is None else nic.bind(device, driver, force=force)
    was = f" (was {done.interface})" if done.interface else ""
    if as_json:
        click.echo(json.dumps({"v": 1, **_plain(done), "bound": not unbind}))
    elif unbind:
        click.echo(f"{done.address}{was}: given back to {done.before or 'the kernel'}")
    else:
        click.echo(f"{done.address}{was}: from {done.before or 'no driver'} to {done.driver}")
        click.echo(f"Capture: wirepath capture -i {done.address} --engine dpdk")
        click.echo(f"Undo:    wirepath nic --unbind {done.address}")


def _list(netns: str | None, as_json: bool) -> None:
    found = []
    for name in nic.names(netns):
        with contextlib.suppress(NotFoundError):  # it has just gone
            found.append(nic.read(name, netns))
    if as_json:
        click.echo(json.dumps([as_object(row) for row in found], indent=2))
    else:
        show_list(found)


def _show(interface: str, netns: str | None, traffic: str | None, everything: bool, as_json: bool) -> None:
    found = nic.read(interface, netns)
    ways = nic.ways(found)
    advice = nic.advise(found, ways, traffic)
    if as_json:
        click.echo(json.dumps({**as_object(found), **_plain({"engines": ways, "advice": advice})}, indent=2))
    else:
        show_nic(found, ways, advice, everything=everything)


def _rates(interface: str, netns: str | None, speed: int | None, interval: float, as_json: bool) -> None:
    meter = nic.Meter(interface, netns)
    time.sleep(interval)
    activity, now = meter.next(), meter.nic
    if as_json:
        click.echo(json.dumps({"v": 1, "name": interface, **_plain(rates_object(now, activity, speed))}, indent=2))
    else:
        show_rates(now, activity, speed)


def _watch(interface: str, netns: str | None, seconds: float, as_json: bool) -> None:
    meter = nic.Meter(interface, netns)
    while True:
        time.sleep(seconds)
        activity = meter.next()
        if as_json:
            click.echo(json.dumps({"v": 1, "name": interface, "activity": _plain(activity)}))
        else:
            click.echo(_CLEAR if sys.stdout.isatty() else "", nl=False)
            show_activity(meter.nic, activity)
            click.echo()
        sys.stdout.flush()


def as_object(found: nic.Nic) -> dict[str, Any]:
    """As `nic --json` says it: the fields of `wirepath.nic.Nic`."""
    told = {field.name: getattr(found, field.name) for field in dataclasses.fields(found) if field.name != "read_ns"}
    return {"v": 1, **_plain(told)}


def _plain(value: Any) -> Any:
    """What JSON can say: bytes in hex, classes as objects."""
    if isinstance(value, Figure):
        return value.as_object()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return value.hex() if isinstance(value, bytes) else value
