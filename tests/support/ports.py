"""Ports on loopback, for servers of the tests' own."""

from __future__ import annotations

import socket


def answers(port: int, greeting: bytes = b"") -> bool:
    """Tell whether a server is there, and has something to say to a greeting."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(greeting)
            return not greeting or bool(connection.recv(1))
    except OSError:
        return False  # not yet


def free_ports(count: int) -> list[int]:
    """Give ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports
