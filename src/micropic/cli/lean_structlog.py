"""structlog without rich.

structlog imports rich, if it is installed, for tracebacks in colour. micropic logs JSON, and rich
is a sixth of the instructions between the start of `micropic serve` and its first request.
"""

from __future__ import annotations

import sys

_hides = "rich" not in sys.modules
if _hides:
    sys.modules["rich"] = None  # type: ignore[assignment] # the documented way to fail an import

import structlog  # noqa: E402

if _hides:
    del sys.modules["rich"]

__all__ = ["structlog"]
