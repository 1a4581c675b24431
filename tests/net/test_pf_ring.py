# SPDX-License-Identifier: Apache-2.0
"""What the engine pf_ring says of what it needs and of what it was granted: over a double of libpfring, not PF_RING."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from pf_ring_double import Double, build
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Wire

pytestmark = pytest.mark.skipif(
    "WIREPATH_LIBPFRING" in os.environ, reason="cannot run here: WIREPATH_LIBPFRING names the real library"
)

_ASKING = "import wirepath as wp; print(*(e.reason for e in wp.engines() if e.name == 'pf_ring'))"


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Double:
    made = Double(build(tmp_path), tmp_path / "module")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def opened(wire: Wire, target: str = "mon0", **options: Any) -> wp.Capture:
    return wp.open(target, engine="pf_ring", netns=wire.far.namespace.path, **options)


def granted(capture: wp.Capture) -> dict[str, str]:
    return {one.name: one.granted for one in capture.sources[0].granted}


def received(capture: wp.Capture, count: int) -> list[bytes]:
    rows: list[bytes] = []
    while len(rows) < count and (batch := capture.receive(2)) is not None:
        rows += [bytes(batch.data(row)) for row in range(len(batch))]
    return rows


def reason(**environment: str) -> str:
    """Why a new process says that the engine cannot run."""
    asked = subprocess.run(
        [sys.executable, "-c", _ASKING], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return asked.stdout


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WIREPATH_LIBPFRING", raising=False)
    said = reason()
    assert "libpfring not found" in said
    assert "packages.ntop.org" in said
    assert "the kernel module pf_ring is not loaded" in said


def test_another_library(tmp_path: Path) -> None:
    (tmp_path / "empty.c").write_text("")
    subprocess.run(["cc", "-shared", "-o", tmp_path / "empty.so", tmp_path / "empty.c"], check=True)
    assert "this libpfring has no pfring_open" in reason(WIREPATH_LIBPFRING=str(tmp_path / "empty.so"))


def test_without_the_module(double: Double) -> None:
    double.unload_module()
    assert "module pf_ring is not loaded" in reason()
    assert "modprobe pf_ring" in reason()


def test_unknown_slots_are_refused(wire: Wire, double: Double) -> None:
    double.load_module(slot_version=20)
    assert "slots of version 20" in reason()
    with pytest.raises(wp.UnsupportedError, match="slots of version 20"):
        opened(wire)


def test_an_unknown_header_is_refused(wire: Wire, double: Double) -> None:
    double.load_module(double_header_len=209)
    with pytest.raises(wp.UnsupportedError, match="header of 209 bytes"):
        opened(wire)


def test_the_result_says_that_it_is_a_double(wire: Wire, double: Double) -> None:
    with opened(wire) as capture:
        assert "not PF_RING" in capture.mode
        assert granted(capture)["library"] == "a double, for tests"
        assert granted(capture)["module"].startswith("8.9.0")
        assert granted(capture)["ring_slots"] == "4096"


@pytest.mark.parametrize("loaded_with", [0, 1, 2])
def test_transparent_mode(wire: Wire, double: Double, loaded_with: int) -> None:
    """Whatever the module was loaded with, it does the same; what it does not do is refused."""
    double.load_module(transparent_mode=loaded_with)
    with opened(wire, transparent_mode=1) as capture:
        assert granted(capture)["transparent_mode"].startswith("1 in effect")
        notes = [note for note in capture.sources[0].notes if "transparent_mode" in note]
        assert [f"transparent_mode={loaded_with}" in note for note in notes] == [True] * bool(loaded_with)
    with pytest.raises(wp.UnsupportedError, match="since 6\\.0\\.3"):
        opened(wire, transparent_mode=2)


def test_parameters_that_change_what_is_captured(wire: Wire, double: Double) -> None:
    double.load_module(enable_tx_capture=0, quick_mode=1)
    with opened(wire) as capture:
        notes = " ".join(capture.sources[0].notes)
        assert "enable_tx_capture=0" in notes
        assert "quick_mode=1" in notes
    with pytest.raises(wp.UnsupportedError, match="enable_tx_capture=0"):
        opened(wire, direction="out")


@pytest.mark.parametrize("word", ["zc", "dna"])
def test_zero_copy_names_what_is_missing(wire: Wire, double: Double, word: str) -> None:
    with pytest.raises(wp.UnsupportedError) as refused:
        opened(wire, f"{word}:mon0")
    hint = refused.value.hint
    assert "ZC drivers" in hint
    assert "licence" in hint
    memory = Path("/proc/meminfo").read_text().splitlines()
    pages = next(int(line.split()[1]) for line in memory if line.startswith("HugePages_Total"))
    assert ("huge pages" in hint) == (pages == 0)


def test_zero_copy(wire: Wire, double: Double) -> None:
    """The old word means the new one; packets are taken; no filter is in the kernel."""
    double.give_zero_copy_driver("mon0")
    with opened(wire, "dna:mon0", filter="udp port 53") as capture, Sender(wire.near) as sender:
        source = capture.sources[0]
        assert source.takes_packets
        assert any("dna: is zc:" in note for note in source.notes)
        assert capture.mode.startswith("ZC")
        assert capture.filtered_by == "pipeline"
        sender.send([frame(0, port=53), frame(1, port=80), frame(2, port=53)])
        assert received(capture, 2) == [frame(0, port=53), frame(2, port=53)]
        assert capture.stats().filtered == 1


def test_zero_copy_leaves_the_default_route_alone(wire: Wire, double: Double) -> None:
    double.give_zero_copy_driver("mon0")
    wire.far.add_address("10.9.9.1", 24)
    with wire.far.namespace.entered():
        subprocess.run(["ip", "route", "add", "default", "via", "10.9.9.2"], check=True)
    with pytest.raises(wp.RefusedError, match="default route"):
        opened(wire, "zc:mon0")
    opened(wire, "zc:mon0", take=True).close()
    opened(wire, "mon0").close()


def test_counts_that_disagree_are_not_believed(wire: Wire, double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(wire) as capture, Sender(wire.near) as sender:
        sender.send([frame(0)])
        assert received(capture, 1) == [frame(0)]
        assert capture.stats().dropped_ring == 0
        monkeypatch.setenv("WIREPATH_PFRING_DOUBLE_LIE", "1")
        assert capture.stats().dropped_ring is None
        assert capture.stats().received == 1


def test_where_a_filter_runs(wire: Wire, double: Double) -> None:
    """The module passes over a program of one instruction, and would keep the one before."""
    with opened(wire, filter="udp port 53") as capture:
        assert capture.filtered_by == "kernel"
        assert capture.stats().filtered is None
        capture.set_filter("ip or not ip")
        assert len(wp.compile_filter("ip or not ip").instructions) == 1
        assert capture.filtered_by == "pipeline"
        with Sender(wire.near) as sender:
            sender.send([frame(0, port=80)])
            assert received(capture, 1) == [frame(0, port=80)]
        capture.set_filter("")
        assert capture.filtered_by == "none"


def test_channels(wire: Wire, double: Double) -> None:
    with opened(wire, channels="all") as capture:
        assert [source.queue for source in capture.sources] == [0]
    with opened(wire, "mon0@0") as capture:
        assert [source.queue for source in capture.sources] == [0]
    for wrong in ("x", "0-", "31", "3-1", ""):
        with pytest.raises(wp.OptionError, match="channels cannot be"):
            opened(wire, channels=wrong)
    with pytest.raises(wp.OptionError, match="named twice"):
        opened(wire, "mon0@0", channels="0")


@pytest.mark.parametrize("target", ["any", "zc:", "foo:mon0", "mon0@"])
def test_devices_that_are_none(wire: Wire, double: Double, target: str) -> None:
    with pytest.raises(wp.OptionError, match="device"):
        opened(wire, target)


def test_options_that_cannot_be(wire: Wire, double: Double) -> None:
    with pytest.raises(wp.OptionError, match="watermark"):
        opened(wire, watermark=0)
    with pytest.raises(wp.UnsupportedError, match="no timestamps in hardware"):
        opened(wire, timestamps="adapter_unsynced")
    with pytest.raises(wp.NotFoundError):
        opened(wire, "mon7")


def test_a_watermark_holds_nothing_back(wire: Wire, double: Double) -> None:
    with opened(wire, watermark=100) as capture, Sender(wire.near) as sender:
        sender.send([frame(0)])
        assert received(capture, 1) == [frame(0)]


def test_a_tag_is_back_in_the_bytes(wire: Wire, double: Double) -> None:
    tagged = frame(0, tags=((0x8100, 0x2064),))
    with opened(wire) as capture, Sender(wire.near) as sender:
        sender.send([tagged])
        batch = capture.receive(2)
        assert batch is not None
        assert bytes(batch.data(0)) == tagged
        assert struct.unpack(">HH", bytes(batch.data(0))[12:16]) == (0x8100, 0x2064)
        assert batch.vlan_tpid.tolist() == [0]
