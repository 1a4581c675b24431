# SPDX-License-Identifier: Apache-2.0
"""`wirepath nic` on a terminal: a line for each interface, or one interface in sections."""

import shutil
import textwrap
from collections.abc import Iterable, Iterator

import click

from wirepath.nic import CAPTURE_OFFLOADS, Advice, CaptureOffload, Choice, Nic, Offload, Rings, TcFilter, Way
from wirepath.nic.engines import native_xdp, zero_copy_xdp
from wirepath.printable import printable

__all__ = ["print_rows", "section", "show_list", "show_nic"]

Rows = Iterable[tuple[str, str]]

_LABEL_WIDTH = 16
_MOST_QUEUES = 16  # lines of queues before the rest is summed up


def section(title: str, rows: Rows) -> None:
    """A heading and its rows; nothing if there are none."""
    listed = list(rows)
    if listed:
        click.echo()
        click.secho(title, bold=True)
        print_rows(listed)


def print_rows(rows: Rows, width: int = _LABEL_WIDTH) -> None:
    """Labels, and texts that are folded beside them."""
    columns = max(60, min(shutil.get_terminal_size((120, 40)).columns, 140))
    for label, text in rows:
        lines = textwrap.wrap(printable(text), columns - width - 3, break_on_hyphens=False, break_long_words=False) or [
            ""
        ]
        click.echo(f"  {label:<{width}} {lines[0]}".rstrip())
        for line in lines[1:]:
            click.echo(" " * (width + 3) + line)


def show_list(found: list[Nic]) -> None:
    """A line for each interface."""
    head = ("name", "driver", "speed", "queues", "state", "XDP", "programs")
    rows = [head, *(_line(nic) for nic in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for number, row in enumerate(rows):
        text = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        click.secho(text, bold=number == 0)


def _line(nic: Nic) -> tuple[str, ...]:
    return (
        printable(nic.name),
        nic.driver.name if nic.driver is not None else nic.link.kind or "-",
        _speed_word(nic),
        str(nic.receive_queues),
        _state(nic),
        _xdp_word(nic),
        printable(", ".join(_programs(nic))) or "-",
    )


def _speed_word(nic: Nic) -> str:
    bps = nic.speed.bps if nic.speed is not None else None
    if bps is None:
        return "-"
    return f"{bps / 1e9:g}G" if bps >= 10**9 else f"{bps / 1e6:g}M"


def _state(nic: Nic) -> str:
    if not nic.link.up:
        return "down"
    return "up" if nic.link.carrier is not False else "up, no carrier"


def _xdp_word(nic: Nic) -> str:
    native, zero_copy = native_xdp(nic), zero_copy_xdp(nic)
    if native.works is None:
        return "?"
    if not native.works:
        return "generic"
    return "native, zero-copy" if zero_copy.works else "native"


def _programs(nic: Nic) -> Iterator[str]:
    for program in (*nic.xdp, *(nic.tcx or ())):
        yield f"{program.hook} {program.mode} {program.name or f'id {program.id}'}"
    for direction in ("ingress", "egress"):
        count = sum(row.direction == direction for row in nic.tc or ())
        if count:
            yield f"tc {direction}: {count} filter{'s' if count > 1 else ''}"


def show_nic(nic: Nic, ways: tuple[Way, ...], advice: Advice, *, everything: bool) -> None:
    """One interface."""
    driver = nic.driver.name if nic.driver is not None else nic.link.kind or nic.link.hardware
    queues = "1 receive queue" if nic.receive_queues == 1 else f"{nic.receive_queues} receive queues"
    click.secho(printable(f"{nic.name}: {driver}, {queues}, {_state(nic)}"), bold=True)
    section("Link", _link(nic))
    section("Driver", _driver(nic))
    section("Queues", _queues(nic))
    section("What changes the packets before a capture sees them", _offloads(nic))
    section("Interrupts and polling", _polling(nic))
    section("Softirqs, all interfaces of this host", _softnet(nic))
    section("Programs", _attached(nic))
    section("Clocks", _clocks(nic))
    section("Losses and errors", _losses(nic))
    if everything:
        section("All offloads", _all_offloads(nic))
        section("All counters", _all_counters(nic))
    section("Engines", _engines(ways))
    section(f"To use{f' for {advice.traffic}' if advice.traffic else ''}", _advice(nic, advice))
    section("Not told", sorted(nic.missing.items()))


def _link(nic: Nic) -> Iterator[tuple[str, str]]:
    link = nic.link
    yield "address", f"{link.mac or 'none'} ({link.hardware})"
    yield "MTU", f"{link.mtu} bytes, and a header before them" + (f"; {link.max_mtu} at most" if link.max_mtu else "")
    if link.peer_ifindex is not None:
        where = f", in the namespace {link.peer_netns}" if link.peer_netns else ""
        name = link.peer or f"interface {link.peer_ifindex}"
        yield "peer" if link.kind == "veth" else "below it", f"{name}{where}"
    if link.master is not None:
        yield "part of", f"{link.master}, which takes its packets"
    asked = f"asked for by {link.promiscuity}" if link.promiscuity else "no: packets for other hosts are left out"
    yield "promiscuous", asked
    yield "speed", _speed_text(nic)


def _speed_text(nic: Nic) -> str:
    speed = nic.speed
    if speed is None or speed.mbps is None:
        return "not told" if nic.link.carrier is not False else "none without a carrier"
    words = [f"{speed.mbps:,} Mbit/s"]
    words += [f"{speed.duplex} duplex"] if speed.duplex else []
    words += [f"{speed.lanes} lanes"] if speed.lanes else []
    if nic.link.kind:
        words.append(f"a number that {nic.link.kind} gives itself, no limit")
    return ", ".join(words)


def _driver(nic: Nic) -> Iterator[tuple[str, str]]:
    driver = nic.driver
    if driver is None:
        return
    yield "driver", " ".join(word for word in (driver.name, driver.version) if word)
    if driver.firmware and driver.firmware != "N/A":
        yield "firmware", driver.firmware
    if driver.bus_info and driver.bus_info != "N/A":
        words = [driver.bus_info]
        if driver.pci_vendor and driver.pci_device:
            words.append(f"PCI {driver.pci_vendor[2:]}:{driver.pci_device[2:]}")
        if driver.numa_node is not None:
            words.append(f"NUMA node {driver.numa_node}")
        yield "device", ", ".join(words)


def _queues(nic: Nic) -> Iterator[tuple[str, str]]:
    channels, rings = nic.channels, nic.rings
    if channels is not None:
        kinds = [
            f"{now} of {most} {kind}"
            for kind, now, most in (
                ("combined", channels.combined, channels.combined_max),
                ("receive", channels.rx, channels.rx_max),
                ("send", channels.tx, channels.tx_max),
            )
            if most
        ]
        kind = "combined" if channels.combined_max else "rx"
        can_change = (channels.combined_max or channels.rx_max or 1) > 1
        yield "in use", ", ".join(kinds) + (f" · ethtool -L {nic.name} {kind} N" if can_change else "")
    if rings is not None:
        yield "ring sizes", _rings(nic.name, rings)
    yield from _rss(nic)


def _rings(name: str, rings: Rings) -> str:
    kinds = [("receive", rings.rx, rings.rx_max), ("send", rings.tx, rings.tx_max)]
    text = ", ".join(f"{kind} {now} of {most} packets" for kind, now, most in kinds if now is not None)
    if rings.rx and rings.rx_max and rings.rx < rings.rx_max:
        text += f" · ethtool -G {name} rx {rings.rx_max}: more room for bursts"
    if rings.tcp_data_split == "on":
        text += "; headers and payload go to buffers apart (tcp-data-split)"
    return text


def _rss(nic: Nic) -> Iterator[tuple[str, str]]:
    rss = nic.rss
    if rss is None or not rss.indirection:
        return
    used = ", ".join(str(queue) for queue in rss.queues)
    table = f"{rss.function or 'hash'} over queues {used} ({len(rss.indirection)} entries)"
    yield "spread (RSS)", f"{table} · ethtool -X {nic.name}"
    fields = {flow: words for flow, words in rss.fields.items() if words}
    if fields:
        yield "  hashed", "; ".join(f"{flow}: {', '.join(words)}" for flow, words in fields.items())


def _offloads(nic: Nic) -> Iterator[tuple[str, str]]:
    off = []
    for known in CAPTURE_OFFLOADS:
        feature = (nic.offloads or {}).get(known.feature)
        if feature is None:
            continue
        if feature.active:
            yield known.word, f"on: {known.when_on}{_change(nic.name, known, feature)}"
        elif feature.wanted:
            yield known.word, f"asked on, granted off: {known.when_off}"
        else:
            off.append(known.word + ("" if feature.changeable else " (fixed)"))
    if off:
        yield "off", ", ".join(off)


def _change(name: str, known: CaptureOffload, feature: Offload) -> str:
    if not feature.changeable:
        return " · fixed: the driver does not let it be changed"
    asked = "" if feature.wanted else " · asked off, granted on"
    return f"{asked} · ethtool -K {name} {known.word} off"


def _polling(nic: Nic) -> Iterator[tuple[str, str]]:
    for queue in range(min(nic.receive_queues, _MOST_QUEUES)):
        yield f"queue rx-{queue}", _queue(nic, queue)
    if nic.receive_queues > _MOST_QUEUES:
        yield "", f"and {nic.receive_queues - _MOST_QUEUES} more queues: --json has them all"
    if nic.coalescing is not None:
        yield "coalescing", _coalescing(nic)
    if nic.napi_defaults is not None:
        yield "deferring", _deferring(nic)
    limits = nic.softnet_limits
    if limits.netdev_budget is not None:
        yield (
            "a softirq takes",
            f"{limits.netdev_budget} packets or {_or_unknown(limits.netdev_budget_usecs)} us at most",
        )
    yield from _steering(nic)


def _queue(nic: Nic, queue: int) -> str:
    irq, how = nic.irq_of(queue)
    words = []
    if irq is not None:
        told = "" if how == "measured" else ", by its name"
        where = f"CPU {irq.effective}" if irq.effective else "a CPU"
        words.append(f"IRQ {irq.number} ({irq.name}{told}) to {where} of {irq.affinity or '?'}, {irq.total:,} so far")
    elif nic.irqs is None:
        words.append("IRQ not told")
    else:
        words.append("no interrupt that is its own")
    words.append(_napi(nic, queue))
    return "; ".join(words)


def _napi(nic: Nic, queue: int) -> str:
    napi, how = nic.napi_of(queue)
    if napi is None:
        return _no_napi(nic)
    who = f"thread {napi.pid}" if napi.pid else "softirq"
    text = f"NAPI {napi.id}{'' if how == 'measured' else ' (by their order)'} polls in {who}"
    if napi.defer_hard_irqs or napi.gro_flush_timeout_ns or napi.irq_suspend_timeout_ns:
        text += (
            f", defers {napi.defer_hard_irqs} times, flushes after {_or_unknown(napi.gro_flush_timeout_ns)} ns, "
            f"suspends for {_or_unknown(napi.irq_suspend_timeout_ns)} ns"
        )
    return text


def _no_napi(nic: Nic) -> str:
    if nic.napi is None:
        return "its NAPI instance is not told"
    if nic.napi:
        return f"which of the {len(nic.napi)} NAPI instances polls it is not told"
    if nic.link.physical:
        return "its NAPI instance is not told"
    backlog = nic.link.kind == "veth" or nic.link.hardware == "loopback"
    return "no NAPI instance: packets go through the CPU's backlog" if backlog else "no NAPI instance of its own"


def _or_unknown(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _coalescing(nic: Nic) -> str:
    waiting = nic.coalescing
    assert waiting is not None
    words = []
    if waiting.rx_usecs is not None:
        words.append(f"the NIC interrupts at the latest {waiting.rx_usecs} us after a packet")
    if waiting.rx_max_frames:
        words.append(f"or after {waiting.rx_max_frames} packet{'s' if waiting.rx_max_frames > 1 else ''}")
    adaptive = {True: "adaptive", False: "not adaptive", None: ""}[waiting.adaptive_rx]
    words = [" ".join(words) or "told only in part", *([adaptive] if adaptive else [])]
    return f"{', '.join(words)} · ethtool -C {nic.name} rx-usecs N"


def _deferring(nic: Nic) -> str:
    defaults = nic.napi_defaults
    assert defaults is not None
    threaded = "" if defaults.threaded in (None, "off") else f"; threaded: {defaults.threaded}"
    if not defaults.defer_hard_irqs or not defaults.gro_flush_timeout_ns:
        return f"no: each poll that finds nothing more enables the interrupt again (napi_defer_hard_irqs){threaded}"
    return (
        f"{defaults.defer_hard_irqs} polls that find nothing, {defaults.gro_flush_timeout_ns:,} ns apart, before the "
        f"interrupt is enabled again{threaded}"
    )


def _steering(nic: Nic) -> Iterator[tuple[str, str]]:
    spread = [row for row in nic.steering or () if row.type == "rx" and row.cpus]
    for row in spread:
        flows = f", {row.flow_entries} flows remembered (RFS)" if row.flow_entries else ""
        yield f"RPS of rx-{row.queue}", f"packets go on to CPUs {', '.join(map(str, row.cpus or ()))}{flows}"
    if nic.steering is not None and not spread:
        yield "RPS", "off: the CPU that polls a queue carries its packets up the stack"


def _softnet(nic: Nic) -> Iterator[tuple[str, str]]:
    for row in nic.softnet or ():
        words = [f"{row.processed:,} packets", f"{row.dropped:,} dropped by a full backlog"]
        words.append(f"{row.time_squeeze:,} times out of budget with work left")
        if row.received_rps:
            words.append(f"woken {row.received_rps:,} times by RPS")
        yield f"CPU {row.cpu}", ", ".join(words)


def _attached(nic: Nic) -> Iterator[tuple[str, str]]:
    told = nic.xdp_features
    if told is not None:
        text = f"the driver says: {', '.join(told.features) or 'nothing, so only generic XDP'}"
        if told.zc_max_segs:
            text += f"; zero-copy in {told.zc_max_segs} buffer{'s' if told.zc_max_segs > 1 else ''} a packet"
        if told.rx_metadata:
            text += f"; metadata: {', '.join(told.rx_metadata)}"
        yield "XDP", text
    for program in nic.xdp:
        yield "", f"attached: {program.mode}, id {program.id}, {program.name or 'name needs privilege'}"
    if not nic.xdp:
        yield "", "no program is attached"
    for row in nic.tc or ():
        yield f"tc {row.direction}", _filter(row)
    for program in nic.tcx or ():
        yield f"tcx {program.mode}", f"id {program.id}, {program.name or 'name needs privilege'}"


def _filter(row: TcFilter) -> str:
    words = [f"{row.kind}, priority {row.priority}"]
    if row.program is not None:
        words.append(f"program {row.program.name or '?'} (id {row.program.id})")
    return f"{', '.join(words)}{': ' if row.actions else ''}{', '.join(row.actions)}"


def _clocks(nic: Nic) -> Iterator[tuple[str, str]]:
    stamps = nic.timestamping
    if stamps is None:
        return
    if "hardware-receive" not in stamps.capabilities:
        yield "packets", "stamped by the host when the driver hands them over; the NIC has no clock of its own for them"
        return
    yield "packets", f"the NIC can stamp: {', '.join(stamps.rx_filters) or 'none'} (-o timestamps=adapter)"
    yield "now", f"the NIC stamps {stamps.rx_filter_now or '?'}"
    if stamps.phc is not None:
        yield "its clock", f"/dev/ptp{stamps.phc}{f' ({stamps.phc_name})' if stamps.phc_name else ''}"


_LOSSES = ("drop", "miss", "err", "fifo", "over", "no_buf", "nobuf", "discard", "alloc_fail", "timeout")


def _losses(nic: Nic) -> Iterator[tuple[str, str]]:
    found = [f"{name} {value:,}" for name, value in nic.counters.items() if value and _is_loss(name)]
    yield "interface", ", ".join(found) or "none counted"
    told = [f"{name} {value:,}" for name, value in (nic.driver_counters or {}).items() if value and _is_loss(name)]
    if nic.driver_counters:
        yield "driver", ", ".join(told) or "none counted (ethtool -S)"


def _is_loss(name: str) -> bool:
    return any(word in name for word in _LOSSES)


def _all_offloads(nic: Nic) -> Iterator[tuple[str, str]]:
    for name, on in (("on", True), ("off", False)):
        rows = [row for row in (nic.offloads or {}).values() if row.active is on]
        yield name, ", ".join(row.name + ("" if row.changeable else "*") for row in rows)
    if nic.offloads:
        yield "", "* the driver does not let it be changed"


def _all_counters(nic: Nic) -> Iterator[tuple[str, str]]:
    yield "interface", ", ".join(f"{name} {value:,}" for name, value in nic.counters.items())
    if nic.driver_counters:
        yield "driver", ", ".join(f"{name} {value:,}" for name, value in nic.driver_counters.items())


def _engines(ways: tuple[Way, ...]) -> Iterator[tuple[str, str]]:
    for way in ways:
        works = {True: "yes", False: "no", None: "?"}[way.works]
        mode = f"{way.mode}: " if way.mode else ""
        takes = " · takes the packets from this host" if way.works and way.takes_packets else ""
        yield f"{works:<3} {way.engine}", f"{mode}{way.why}{takes}"


def _advice(nic: Nic, advice: Advice) -> Iterator[tuple[str, str]]:
    if advice.best is None:
        yield "nothing", "no engine that leaves the packets to this host can capture here: see above why"
    else:
        yield advice.best.way.engine, advice.best.reason
        yield "", _call(nic, advice.best)
    if advice.taking is not None:
        yield (
            advice.taking.way.engine,
            (
                f"only if this host need not get the packets: the engine takes them from its network stack. "
                f"{advice.taking.reason}"
            ),
        )
        yield "", f"{_call(nic, advice.taking)} --take"
    yield from (("setting", f"{line}: {why}") for line, why in advice.settings)


def _call(nic: Nic, choice: Choice) -> str:
    options = "".join(f" -o {option}" for option in choice.options)
    netns = f" --netns {nic.netns}" if nic.netns else ""
    return f"wirepath capture -i {nic.name}{netns} --engine {choice.way.engine}{options}"
