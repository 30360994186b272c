from __future__ import annotations

from micropic.domain import clients


def test_clients_of_one_ipv6_network_have_one_name() -> None:
    one, two, other = map(clients.opaque, ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"))
    assert one == two != other
    assert clients.opaque("::ffff:192.0.2.1") == clients.opaque("192.0.2.1")


def test_a_name_does_not_show_the_address() -> None:
    name = clients.opaque("192.0.2.1")
    assert len(name) == 16
    assert "192" not in name or "2.1" not in name
    assert name != clients.opaque("192.0.2.2")
