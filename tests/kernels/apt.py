# SPDX-License-Identifier: Apache-2.0
"""Debian packages by name, unpacked beside the system and never installed.

Debian's apt with a configuration of its own: suites that this machine does not use are read from the mirror that it
does use, so that nothing about where packages come from is written down here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from .cache import TestbedError

_SUITES = ("bookworm", "bookworm-backports", "trixie-backports")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCES = Path("/etc/apt")

_CONFIGURATION = """\
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "{home}/lists";
Dir::Cache::archives "{home}/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
"""


def _sources() -> Iterator[tuple[str, list[str]]]:
    """(address, suites) of each entry of the machine's own sources, in both of apt's formats."""
    for path in sorted([_SOURCES / "sources.list", *_SOURCES.glob("sources.list.d/*")]):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for line in re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+\s+\S+)", text, re.MULTILINE):
            address, suite = line.split()
            yield address, [suite]
        for stanza in re.split(r"\n\s*\n", text):
            fields = dict(re.findall(r"^(URIs|Suites):[ \t]*(.+)$", stanza, re.MULTILINE))
            if len(fields) == 2:
                for address in fields["URIs"].split():
                    yield address, fields["Suites"].split()


def _mirror() -> str:
    for address, suites in _sources():
        if any(re.fullmatch(r"bookworm|trixie|oldstable|stable|testing|sid|forky", suite) for suite in suites):
            return address
    raise TestbedError(f"{_SOURCES} names no mirror of Debian: kernels and QEMU are fetched from Debian, by apt")


class Apt:
    """apt over the suites that have the kernels. Raises TestbedError where it cannot work."""

    def __init__(self, cache: Path) -> None:
        self._home = cache / "apt"
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise TestbedError(f"kernels and QEMU are fetched from Debian, and {tool} is not here")
        for part in ("lists/partial", "archives/partial"):
            (self._home / part).mkdir(parents=True, exist_ok=True)
        entries = (f"deb [signed-by={_KEYRING}] {_mirror()} {suite} main\n" for suite in _SUITES)
        (self._home / "sources.list").write_text("".join(entries), encoding="utf-8")
        self._configuration = self._home / "apt.conf"
        self._configuration.write_text(_CONFIGURATION.format(home=self._home), encoding="utf-8")

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        environment = os.environ | {"APT_CONFIG": str(self._configuration), "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
            raise TestbedError(f"{' '.join(command[:2])} failed (is there network?): {said}")
        return done.stdout

    def update(self) -> None:
        """Reads the lists of packages anew."""
        self._run("apt-get", "update", "-qq", "--error-on=any")

    def names(self, pattern: str) -> list[str]:
        """The packages whose names match a regular expression."""
        return [line.split(" - ")[0] for line in self._run("apt-cache", "search", "--names-only", pattern).splitlines()]

    def unpack(self, packages: Iterable[str], into: Path) -> None:
        """Downloads these very packages and unpacks them."""
        debs = self._home / "archives" / "wanted"
        shutil.rmtree(debs, ignore_errors=True)
        debs.mkdir()
        self._run("apt-get", "download", "-qq", *packages, cwd=debs)
        self._unpack_all(debs, into)

    def unpack_with_dependencies(self, packages: Iterable[str], suite: str, into: Path) -> None:
        """The same with what they need and this system has not installed."""
        self._run("apt-get", "clean")
        command = ("apt-get", "install", "--download-only", "--reinstall", "-y", "-qq", "-t", suite)
        self._run(*command, "-o", "Debug::NoLocking=true", *packages)
        self._unpack_all(self._home / "archives", into)

    def _unpack_all(self, debs: Path, into: Path) -> None:
        into.mkdir(parents=True, exist_ok=True)
        for deb in sorted(debs.glob("*.deb")):
            self._run("dpkg-deb", "-x", str(deb), str(into))
            deb.unlink()
