"""What can be told of scripts/wheel_check without a wheel."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "wheel_check"


def test_without_a_wheel_it_says_at_once_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(SCRIPT, tmp_path / "scripts")
    done = subprocess.run([script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "make wheel first" in done.stderr
    assert not (tmp_path / "build").exists()
