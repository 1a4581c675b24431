# SPDX-License-Identifier: Apache-2.0
"""The testbed of `make kernels`, as far as it goes without a guest."""

from __future__ import annotations

import lzma
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from kernels import apt, cache, kernel, matrix, nics
from kernels.guest import command_script
from kernels.initramfs import Entry, archive
from kernels.kernel import Kernel
from kernels.machine import Machine
from kernels.tools import Tools

ROOT = Path(__file__).parents[2]
MODULES = "lib/modules/6.12.95+deb12-amd64"


@pytest.fixture
def fake(tmp_path: Path) -> Kernel:
    """A kernel of which only the lists are there."""
    modules = tmp_path / "6.12.95+deb12" / MODULES
    modules.mkdir(parents=True)
    (modules / "modules.dep").write_text(
        "kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz\n"
        "kernel/net/9p/9pnet.ko.xz:\nkernel/fs/netfs/netfs.ko.xz:\nkernel/drivers/char/virtio-rng.ko.xz:\n"
    )
    (modules / "modules.builtin").write_text("kernel/drivers/virtio/virtio_pci.ko\n")
    return Kernel(tmp_path / "6.12.95+deb12")


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.kernels", "run", "--", "true"],
        cwd=ROOT,
        env=os.environ | {"WIREPATH_KERNELS": str(tmp_path / "cache")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_means_it_says_one_line(tmp_path: Path) -> None:
    """Nothing is in the cache, and there is no apt to fetch it with."""
    done = run(tmp_path, PATH=str(tmp_path))
    assert done.returncode == 125
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "apt-get is not here" in line


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="cannot run here: there is no apt")
def test_without_a_mirror_it_says_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "_SOURCES", tmp_path)
    with pytest.raises(cache.TestbedError, match="names no mirror of Debian"):
        apt.Apt(tmp_path)


def test_a_nic_that_is_not_known() -> None:
    with pytest.raises(cache.TestbedError, match="no NIC is called rtl8139: there are e1000"):
        nics.chosen("igb,rtl8139")


@pytest.mark.parametrize(
    ("text", "mirror"),
    [
        ("deb http://a.example/debian bookworm main\n", "http://a.example/debian"),
        ("deb [arch=amd64 signed-by=/k.gpg] https://b.example/d trixie main\n", "https://b.example/d"),
        (
            "URIs: http://c.example/x\nSuites: other\n\n# a comment\nURIs: http://c.example/debian\nSuites: trixie\n",
            "http://c.example/debian",
        ),
    ],
)
def test_the_mirror_is_the_machines_own(
    text: str, mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(text)
    monkeypatch.setattr(apt, "_SOURCES", tmp_path)
    assert apt._mirror() == mirror


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("6.1", "6.1.0-50"),
        ("6.12", "6.12.95+deb12"),
        ("newest", "7.3.4+deb13"),
        ("6.12.90+deb12", "6.12.90+deb12"),
    ],
)
def test_the_newest_version_of_what_was_asked(asked: str, chosen: str) -> None:
    available = ["6.1.0-9", "6.1.0-50", "6.12.90+deb12", "6.12.95+deb12", "6.12.9+deb12", "7.3.4+deb13"]
    assert kernel.choose(asked, available) == chosen


def test_a_version_that_is_not_there() -> None:
    with pytest.raises(cache.TestbedError, match=r"Debian has no kernel 5\.10"):
        kernel.choose("5.10", ["6.1.0-50"])


def test_modules_come_after_what_they_need(fake: Kernel) -> None:
    order = [path.name for path in fake.with_dependencies(("virtio_pci", "9p", "9pnet", "virtio_rng"))]
    assert order == ["netfs.ko.xz", "9pnet.ko.xz", "9p.ko.xz", "virtio-rng.ko.xz"]


def test_archive_is_aligned() -> None:
    for size in range(5):
        packed = archive([Entry("n" * (size + 1), b"d" * size)])
        assert len(packed) % 4 == 0
        assert packed.index(b"070701", 6) % 4 == 0


def test_the_kernel_comes_out_of_its_image() -> None:
    unpacked = b"\x7fELF and the rest"
    packed = lzma.compress(unpacked)
    image = bytearray(0x1000)
    image[0x1F1] = 2  # sectors of the setup code, after the first
    struct.pack_into("<II", image, 0x248, 0x10, len(packed))
    image[3 * 512 + 0x10 : 3 * 512 + 0x10 + len(packed)] = packed
    assert kernel.vmlinux(bytes(image)) == unpacked


def test_an_image_packed_otherwise_is_refused() -> None:
    with pytest.raises(cache.TestbedError, match="not known here"):
        kernel.vmlinux(bytes(0x1000))


def test_command_line_has_each_nic_twice_on_a_hub_of_its_own(fake: Kernel, tmp_path: Path) -> None:
    machine = Machine(fake, Tools(tmp_path), nics.chosen("e1000,veth,igb"), mem_mb=512)
    line = " ".join(machine.command_line(tmp_path / "control", tmp_path / "out"))
    for number, name in ((1, "e1000"), (2, "igb")):
        assert line.count(f"hubid={number}") == 2
        assert line.count(f"-device {name},") == 2
    assert "readonly=on" in line
    assert "-nic none" in line
    assert "-m 512 " in line
    assert f"path={tmp_path / 'out'}," in line


def test_macs_of_a_guest_are_all_different() -> None:
    assert len({nics.mac(nic, end) for nic in range(6) for end in (0, 1)}) == 12


def test_command_keeps_its_words(tmp_path: Path) -> None:
    script = command_script(["printf", "%s|", "a b", "$HOME", "it's"], tmp_path, {"A": "b c"})
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "a b|$HOME|it's|"


def test_a_report_is_counted(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="a" name="one"/><testcase classname="a" name="two"><skipped/>'
        '</testcase><testcase classname="b" name="three"><failure/></testcase><testcase classname="b" name="four">'
        "<error/></testcase></testsuite></testsuites>"
    )
    assert matrix.read_report(report) == (1, ["b::three", "b::four"], 1)


@pytest.mark.parametrize(
    ("code", "passed", "failed", "verdict"),
    [(0, 3, [], "passed"), (1, 3, ["x"], "failed"), (5, 0, [], "cannot"), (125, 0, [], "failed"), (0, 0, [], "cannot")],
)
def test_the_verdict_of_a_cell(fake: Kernel, code: int, passed: int, failed: list[str], verdict: str) -> None:
    cell = matrix.Cell(fake, "igb", matrix.SUITES["contract"])
    outcome = matrix.Outcome(cell, code, 12.0, passed, failed)
    assert outcome.verdict == verdict
    assert outcome.line().split()[:4] == ["6.12.95+deb12", "igb", "contract", verdict]
