"""A network of a test's own, in which any address can be given away."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000


class NoNetworkError(Exception):
    """A network of one's own is not available here."""


def in_own_network(addresses: list[str], work: Callable[[], T]) -> T:
    """Do some work where the loopback interface has these addresses, and there is no other.

    Threads and processes that are started within it live there, too.

    Raises:
        NoNetworkError: it takes root, on Linux, and iproute2.

    """

    def isolated() -> T:
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
            raise NoNetworkError(os.strerror(ctypes.get_errno()))
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            for address in addresses:
                command = ["ip", "address", "add", address, "dev", "lo"]
                subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoNetworkError(str(error)) from error
        return work()

    # A thread of its own, which ends with its network.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(isolated).result()
