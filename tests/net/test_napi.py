# SPDX-License-Identifier: Apache-2.0
"""The engine napi: what it sets on the host, that it is put back however the capture ends, and what it measures."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from wirepath import _core
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Wire
from wirepath.linux.sysfs import Sysfs

CHANGES = Path("/run/wirepath/changes")
FILES = ("gro_flush_timeout", "napi_defer_hard_irqs")
PLAIN = {"gro_flush_timeout": "0", "napi_defer_hard_irqs": "0"}
KEEP = {"poll": "keep", "measure": False}


class Settings:
    """What an interface's sysfs says of how it polls."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        with wire.far.namespace.entered():
            self.sysfs = Sysfs(mounted=False)
        self.directory = self.sysfs.device(wire.far.name)

    def __call__(self) -> dict[str, str]:
        return {name: (self.directory / name).read_text(encoding="ascii").strip() for name in FILES}

    def write(self, name: str, value: str) -> None:
        with self.wire.far.namespace.entered():
            (self.directory / name).write_text(value, encoding="ascii")

    def become(self, wanted: dict[str, str], patience_s: float = 20) -> bool:
        until = time.monotonic() + patience_s
        while self() != wanted and time.monotonic() < until:
            time.sleep(0.02)
        return self() == wanted


@pytest.fixture
def settings(wire: Wire) -> Iterator[Settings]:
    made = Settings(wire)
    try:
        made.write("gro_flush_timeout", "0")
    except OSError as refused:
        made.sysfs.close()
        pytest.skip(f"cannot run here: settings of interfaces cannot be written: {refused.strerror}")
    yield made
    made.sysfs.close()


def open_on(wire: Wire, **options: Any) -> wp.Capture:
    return wp.open(wire.far.name, engine="napi", netns=wire.far.namespace.path, **options)


def granted(capture: wp.Capture) -> dict[str, str]:
    return {item.name: item.granted for item in capture.sources[0].granted}


def ours(wire: Wire) -> list[tuple[str, str]]:
    """What the state file has of this namespace whose owner has ended."""
    with wire.far.namespace.entered():
        return _core.network_settings_left_behind()


def test_set_while_it_runs(wire: Wire, settings: Settings) -> None:
    settings.write("gro_flush_timeout", "1234")
    with open_on(wire, poll="cpu", gro_flush_timeout_ns=300_000, defer_hard_irqs=7) as capture:
        assert settings() == {"gro_flush_timeout": "300000", "napi_defer_hard_irqs": "7"}
        assert granted(capture)["gro_flush_timeout_ns"].startswith("300000 (")
        assert granted(capture)["defer_hard_irqs"].startswith("7 (")
    assert settings() == PLAIN | {"gro_flush_timeout": "1234"}


@pytest.mark.parametrize("poll", ["throughput", "cpu"])
def test_presets_defer(wire: Wire, settings: Settings, poll: str) -> None:
    with open_on(wire, poll=poll):
        now = settings()
        assert 20_000 <= int(now["gro_flush_timeout"]) <= (2_000_000 if poll == "cpu" else 200_000)
        assert int(now["napi_defer_hard_irqs"]) > 0
    assert settings() == PLAIN


def test_keep_changes_nothing(wire: Wire, settings: Settings) -> None:
    settings.write("gro_flush_timeout", "1234")
    with open_on(wire, **KEEP) as capture:
        assert settings()["gro_flush_timeout"] == "1234"
        assert not capture.sources[0].notes
    assert settings()["gro_flush_timeout"] == "1234"


def test_a_capture_that_is_not_closed(wire: Wire, settings: Settings) -> None:
    capture = open_on(wire, **KEEP, defer_hard_irqs=7)
    assert settings()["napi_defer_hard_irqs"] == "7"
    del capture
    assert settings.become(PLAIN)


@pytest.mark.parametrize("first_out", [0, 1])
def test_two_at_once(wire: Wire, settings: Settings, first_out: int) -> None:
    """The last that came decides; the last that goes puts back what was there before both."""
    settings.write("gro_flush_timeout", "1234")
    captures = [open_on(wire, **KEEP, gro_flush_timeout_ns=value) for value in (50_000, 60_000)]
    assert settings()["gro_flush_timeout"] == "60000"
    captures[first_out].close()
    assert settings()["gro_flush_timeout"] == ("60000" if first_out == 0 else "50000")
    captures[1 - first_out].close()
    assert settings()["gro_flush_timeout"] == "1234"


def test_what_somebody_else_changes_stays(wire: Wire, settings: Settings) -> None:
    with open_on(wire, **KEEP, gro_flush_timeout_ns=50_000, defer_hard_irqs=7):
        settings.write("gro_flush_timeout", "77")
    assert settings() == {"gro_flush_timeout": "77", "napi_defer_hard_irqs": "0"}


_HOLD = """
import os, sys, time
import wirepath as wp
with wp.open("{name}", engine="napi", netns="{netns}", {options}) as capture:
    {before}
    print("open", flush=True)
    sys.stdin.read()
print("closed", flush=True)
"""


def start(wire: Wire, before: str = "pass", options: str = "poll='keep', gro_flush_timeout_ns=50_000") -> Any:
    """Another process that captures until its input ends."""
    code = _HOLD.format(name=wire.far.name, netns=wire.far.namespace.path, before=before, options=options)
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def finish(process: Any) -> str:
    said, _ = process.communicate(timeout=30)
    return str(said)


def keeper_of(process: Any) -> int:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == b"wirepath-keeper" and words[1].startswith(f"{process.pid}:".encode()):
            return int(entry.name)
    raise AssertionError("it has no keeper")


def test_killed(wire: Wire, settings: Settings) -> None:
    """The keeper outlives it, and puts back at once."""
    process = start(wire)
    assert settings()["gro_flush_timeout"] == "50000"
    process.kill()
    finish(process)
    assert settings.become(PLAIN)


def test_killed_though_a_fork_of_it_lives(wire: Wire, settings: Settings) -> None:
    """The fork has the pipe's other end, and is not the capture."""
    process = start(wire, before="if os.fork() == 0: time.sleep(60); os._exit(0)")
    children = Path("/proc", str(process.pid), "task", str(process.pid), "children").read_text(encoding="ascii").split()
    process.kill()
    try:
        assert settings.become(PLAIN)
    finally:
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        finish(process)


def kill_both(process: Any) -> None:
    keeper = keeper_of(process)
    os.kill(keeper, signal.SIGKILL)
    process.kill()
    finish(process)


def by_opening(wire: Wire) -> None:
    wp.open(wire.far.name, engine="socket", netns=wire.far.namespace.path).close()


def by_nic(wire: Wire) -> None:
    command = [sys.executable, "-m", "wirepath", "nic", wire.far.name, "--netns", wire.far.namespace.path]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "put back" in said.stderr


@pytest.mark.parametrize("next_run", [by_opening, by_nic])
def test_killed_with_its_keeper(wire: Wire, settings: Settings, next_run: Callable[[Wire], None]) -> None:
    """The next run finds it in the file: any capture's start, or `wirepath nic`."""
    settings.write("gro_flush_timeout", "1234")
    kill_both(start(wire))
    assert settings()["gro_flush_timeout"] == "50000"
    assert [name for _, name in ours(wire)] == ["gro_flush_timeout"]
    next_run(wire)
    assert settings()["gro_flush_timeout"] == "1234"
    assert not ours(wire)


@pytest.mark.parametrize("killed", [0, 1])
def test_one_of_two_is_killed_with_its_keeper(wire: Wire, settings: Settings, killed: int) -> None:
    """The other goes on, and what there was before both is not forgotten."""
    settings.write("gro_flush_timeout", "1234")
    both = [start(wire, options=f"poll='keep', gro_flush_timeout_ns={value}") for value in (50_000, 60_000)]
    kill_both(both[killed])
    by_opening(wire)
    assert settings()["gro_flush_timeout"] == ("60000" if killed == 0 else "50000")
    assert finish(both[1 - killed]) == "closed\n"
    assert settings()["gro_flush_timeout"] == "1234"


def test_privileges_dropped(wire: Wire, settings: Settings) -> None:
    """The kernel asks for the right when a setting is written: only the keeper still has it."""
    process = start(
        wire, before="os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)"
    )
    assert settings()["gro_flush_timeout"] == "50000"
    assert finish(process) == "closed\n"
    assert settings.become(PLAIN)


def test_command_drops_privileges(wire: Wire, settings: Settings, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    command = [sys.executable, "-m", "wirepath", "capture", "-i", wire.far.name, "--netns", wire.far.namespace.path]
    command += ["--engine", "napi", "-Z", "nobody", "-a", "duration:1", "-w", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "put back after it" in done.stderr
    assert "was not polled" in done.stderr or "too few packets" in done.stderr
    assert settings.become(PLAIN)


def test_signals_of_the_terminal_do_not_reach_the_keeper(wire: Wire, settings: Settings) -> None:
    process = start(wire)
    keeper = keeper_of(process)
    os.kill(keeper, signal.SIGINT)
    os.kill(keeper, signal.SIGTERM)
    assert finish(process) == "closed\n"
    assert settings() == PLAIN


def test_the_keeper_holds_no_file_of_the_capture(wire: Wire, settings: Settings) -> None:
    """Whoever reads what a capture writes sees its end when it ends."""
    process = start(wire)
    held = [str(entry.readlink()) for entry in Path("/proc", str(keeper_of(process)), "fd").iterdir()]
    finish(process)
    # "/": of a sysfs that is mounted nowhere.
    assert not [name for name in held if name.startswith("/") and name not in ("/dev/null", "/")], held
    assert sum(name.startswith("pipe:") for name in held) == 2


def test_without_privilege(wire: Wire, settings: Settings) -> None:
    """It captures all the same, and says what it could not do."""
    with open_on(wire, poll="cpu") as capture:
        assert "put back" in " ".join(capture.sources[0].notes)
    code = (
        "import wirepath as wp, ctypes, os\n"
        "os.setgroups([]); ctypes.CDLL(None).prctl(8, 1, 0, 0, 0)\n"  # PR_SET_KEEPCAPS
        "os.setresuid(65534, 65534, 65534)\n"
        "head = (ctypes.c_uint32 * 2)(0x20080522, 0); raw = 1 << 13\n"
        "sets = (ctypes.c_uint32 * 6)(raw, raw, 0, 0, 0, 0)\n"
        "assert ctypes.CDLL(None).capset(head, sets) == 0\n"
        f"with wp.open('{wire.far.name}', engine='napi', poll='cpu') as capture:\n"
        "    print(capture.sources[0].granted); print(capture.sources[0].notes)\n"
    )
    with wire.far.namespace.entered():
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "refused" in said.stdout
    assert "sudo" in said.stdout
    assert settings() == PLAIN


def observed(capture: wp.Capture) -> dict[str, Any]:
    return {one.name: one for one in capture.observed}


@contextlib.contextmanager
def sending(wire: Wire, count: int | None = None) -> Iterator[None]:
    """Packets one by one meanwhile: so many, or until the end of the block."""
    ended = threading.Event()

    def send() -> None:
        with Sender(wire.near) as sender:
            for number in itertools.count() if count is None else range(count):
                sender.send([frame(number & 0xFFFF)])
                if ended.wait(0.001) and count is None:
                    return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def receive(capture: wp.Capture, count: int) -> None:
    until = time.monotonic() + 30
    while count > 0 and time.monotonic() < until:
        batch = capture.receive(0.2)
        count -= len(batch) if batch is not None else 0
    assert count <= 0, f"{count} did not come: {capture.stats()}"


def test_says_where_there_is_no_napi(wire: Wire, settings: Settings) -> None:
    """A veth without XDP and GRO has none: nothing was polled, and the sentence says so."""
    with open_on(wire, poll="cpu") as capture, sending(wire, 200):
        receive(capture, 200)
    effect = observed(capture)
    if effect["polls"].during is None:
        pytest.skip(f"cannot run here: {effect['polls'].detail}")
    assert effect["packets"].during == 200
    assert effect["polls"].during == 0
    assert effect["interrupts"].during is None
    assert "no NAPI" in effect["effect"].detail


def test_baseline_compares(wire: Wire, settings: Settings) -> None:
    """With native XDP a veth has NAPI: polls are counted before and after."""
    with sending(wire), open_on(wire, via="xdp", poll="keep", threaded="on", baseline_ms=1000) as capture:
        receive(capture, 300)
        effect = observed(capture)
    if effect["polls"].during is None:
        pytest.skip(f"cannot run here: {effect['polls'].detail}")
    assert effect["polls"].before > 0
    assert effect["polls"].during > 0
    assert effect["packets_a_poll"].during >= 1
    assert "polls a packet" in effect["effect"].detail or "too few" in effect["effect"].detail


def test_observed_after_close_stays(wire: Wire, settings: Settings) -> None:
    with open_on(wire) as capture, sending(wire, 60):
        receive(capture, 60)
    first = observed(capture)["packets"].during
    with sending(wire, 10):
        pass
    assert observed(capture)["packets"].during == first == 60


def test_xdp_takes_packets(wire: Wire, settings: Settings) -> None:
    with open_on(wire, via="xdp", poll="latency") as capture:
        assert capture.sources[0].takes_packets
        assert capture.engine == "napi"
        assert granted(capture)["prefer_busy_poll"] == "on"
        assert granted(capture)["busy_poll_us"] == "10000 us"
        with sending(wire, 100):
            receive(capture, 100)
        running = observed(capture)["napi_id"]
    assert running == observed(capture)["napi_id"]
    assert ("no effect" in running.detail) is (running.during == 0)
    assert settings() == PLAIN


def test_xdp_is_refused_on_the_default_route(wire: Wire) -> None:
    wire.far.add_address("10.97.0.1", 24)
    with wire.far.namespace.routes() as routes:
        routes.route("add", dst="default", gateway="10.97.0.2")
    with pytest.raises(wp.RefusedError, match="default route"):
        open_on(wire, via="xdp")
    open_on(wire, via="xdp", take=True).close()
    open_on(wire).close()


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"ring_size": 1024}, "belongs to via=xdp"),
        ({"via": "xdp", "block_nr": 4}, "belongs to via=packet"),
        ({"busy_poll_us": 50}, "AF_PACKET have none"),
        ({"gro_flush_timeout_ns": 2_000_000_000}, "0 to 1000000000"),
        ({"defer_hard_irqs": -1}, "0 to"),
        ({"poll": "fast"}, "latency"),
        ({"threaded": "maybe"}, "busy_poll"),
        ({"defer": 1}, "has no option 'defer'"),
        ({"block_size": "64k"}, "choose block_size"),
    ],
)
def test_options_that_cannot_be(wire: Wire, options: dict[str, Any], hint: str) -> None:
    with pytest.raises(wp.OptionError, match=hint):
        open_on(wire, **options)


def test_any_is_not_one_interface(wire: Wire) -> None:
    with pytest.raises(wp.UnsupportedError, match="name it"):
        wp.open("any", engine="napi", netns=wire.far.namespace.path)


def test_nothing_is_left_in_the_file(wire: Wire, settings: Settings) -> None:
    with open_on(wire):
        assert CHANGES.exists()
    assert not ours(wire)
