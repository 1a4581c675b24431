# SPDX-License-Identifier: Apache-2.0
"""python -m tests.kernels: real kernels and emulated NICs, in QEMU."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from . import kernel, matrix, nics, tools
from .apt import Apt
from .cache import TestbedError, locked
from .machine import NOT_RUN, Machine

QUICK_KERNEL, QUICK_NICS = ("6.12",), ("igb",)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Debian kernels in QEMU over this machine's own files, with pairs of emulated NICs."""


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--kernel", "asked", default="6.12", help="6.1, 6.12, newest, or a version.", show_default=True)
@click.option("--nic", "names", default="", help=f"Pairs of NICs: {','.join((*nics.NICS, nics.VETH))}.")
@click.option("--timeout", type=float, default=600, help="Seconds, boot and all.", show_default=True)
@click.option("--mem", type=int, default=1024, help="MiB of the guest.", show_default=True)
@click.option("--cpus", type=int, default=1, help="Of the guest.", show_default=True)
@click.option("--append", default="", help="To the kernel's command line.")
@click.option("--iommu", is_flag=True, help="With an IOMMU before the NICs: what vfio-pci needs.")
@click.option("--out", type=click.Path(path_type=Path), help="A directory that the guest may write into.")
@click.argument("command", nargs=-1, required=True)
def run(
    asked: str,
    names: str,
    timeout: float,
    mem: int,
    cpus: int,
    append: str,
    iommu: bool,
    out: Path | None,
    command: tuple[str, ...],
) -> None:
    """Runs COMMAND in a guest, in this directory, and ends with its exit code (124: timeout, 125: no guest)."""
    chosen = nics.chosen(names)
    found = tools.get()
    if out is not None:
        out = out.absolute()
        out.mkdir(parents=True, exist_ok=True)
    machine = Machine(kernel.get(asked, found), found, chosen, mem, cpus, append, iommu)
    sys.exit(machine.run(command, timeout_s=timeout, out=out))


@main.command("matrix")
@click.option("--quick", is_flag=True, help="One kernel, one NIC.")
@click.option("--full", is_flag=True, help="Every case over every engine, not only what meets a driver: hours.")
@click.option("--kernel", "asked", multiple=True, help=f"Of {', '.join(kernel.MATRIX)}, or another; repeatable.")
@click.option("--nic", "names", multiple=True, type=click.Choice(matrix.ALL_NICS), help="Repeatable.")
@click.option("--suite", "suites", multiple=True, type=click.Choice(list(matrix.SUITES)), help="Repeatable.")
@click.option("--jobs", type=int, default=os.cpu_count() or 1, help="Guests at a time.", show_default=True)
def all_(
    quick: bool, full: bool, asked: tuple[str, ...], names: tuple[str, ...], suites: tuple[str, ...], jobs: int
) -> None:
    """The matrix: a line for each kernel, NIC and suite. Exit code 1 if a cell failed."""
    asked = asked or (QUICK_KERNEL if quick else kernel.MATRIX)
    names = names or (QUICK_NICS if quick else matrix.ALL_NICS)
    found = tools.get()
    kernels = list(dict.fromkeys(kernel.get(each, found) for each in asked))
    chosen = [matrix.SUITES[name] for name in suites] or list(matrix.SUITES.values())
    sys.exit(0 if matrix.run_all(matrix.cells(kernels, names, chosen, full), found, jobs) else 1)


@main.command("list")
@click.option("--all", "everything", is_flag=True, help="All kernels that Debian has now.")
def list_(everything: bool) -> None:
    """The kernels of the matrix, and what was fetched for them; the NICs."""
    if everything:
        with locked() as cache:
            apt = Apt(cache)
            apt.update()
            versions = kernel.versions(apt)
        print(*versions, sep="\n")
        return
    for asked in kernel.MATRIX:
        found = kernel.cached(asked)
        print(f"kernel {asked:<8} {found.version if found else 'not fetched'}")
    print(f"QEMU {'fetched' if tools.cached() else 'not fetched'}")
    for nic in nics.NICS.values():
        print(f"NIC {nic.name:<11} {' '.join(nic.interfaces)}")


@main.command()
@click.argument("names", nargs=-1)
def fetch(names: tuple[str, ...]) -> None:
    """Fetches QEMU and kernels (default: those of the matrix), the newest that Debian has now by these names."""
    found = tools.get()
    for asked in names or kernel.MATRIX:
        print(f"kernel {asked}: {kernel.fetch(asked, found).version}")


if __name__ == "__main__":
    try:
        main(prog_name="python -m tests.kernels")
    except TestbedError as error:
        print(f"python -m tests.kernels: {error}", file=sys.stderr)
        sys.exit(NOT_RUN)
