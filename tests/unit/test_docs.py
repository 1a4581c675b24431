# SPDX-License-Identifier: Apache-2.0
"""The documentation says what the code says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("tool", ["docs", "manual"])
def test_generated_parts_are_up_to_date(tool: str) -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "tools" / tool, "--check"], check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_paths_exist(page: Path) -> None:
    named = re.findall(r"`((?:native|src|tests|docs|tools|cmake)/[\w./-]+)`", page.read_text())
    assert [path for path in named if "NAME" not in path and not (ROOT / path).exists()] == []


def test_the_shell_completes_commands() -> None:
    env = os.environ | {"_WIREPATH_COMPLETE": "bash_complete", "COMP_WORDS": "wirepath eng", "COMP_CWORD": "1"}
    completed = subprocess.run(
        [sys.executable, "-c", "import wirepath.cli; wirepath.cli.main()"],
        check=True,
        capture_output=True,
        text=True,
        env=env,
    )
    assert completed.stdout == "plain,engines\n"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("page", sorted((ROOT / "docs/man").glob("*.1")), ids=lambda page: page.name)
def test_manual_pages_are_clean_roff(page: Path) -> None:
    formatted = subprocess.run(["groff", "-man", "-Tutf8", "-ww", page], check=True, capture_output=True, text=True)
    assert formatted.stderr == ""
    assert "wirepath" in formatted.stdout
