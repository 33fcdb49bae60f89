"""Which addresses a client's URL may lead to."""

from __future__ import annotations

import ipaddress

import pytest

from speech_server.notify.public_address import why_refused

REFUSED = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255"),
    *("192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "192.88.99.1"),
    *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fec0::1", "100::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1"),
    *("64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "fe80::1%eth0"),
]
ALLOWED = ["8.8.8.8", "1.1.1.1", "47.246.1.1", "100.63.255.255", "100.128.0.1", "2606:4700::1", "2400:3200::1"]


class TestWhyRefused:
    @pytest.mark.parametrize("address", REFUSED)
    def test_what_is_not_of_the_public_internet(self, address: str) -> None:
        assert why_refused(ipaddress.ip_address(address), loopback=False)

    @pytest.mark.parametrize("address", ALLOWED)
    def test_what_is(self, address: str) -> None:
        assert why_refused(ipaddress.ip_address(address), loopback=False) is None

    @pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
    def test_this_machine_when_the_setting_says_so(self, address: str) -> None:
        assert why_refused(ipaddress.ip_address(address), loopback=True) is None

    @pytest.mark.parametrize("address", [a for a in REFUSED if a not in ("127.0.0.1", "127.8.8.8", "::1")][2:])
    def test_the_setting_allows_nothing_else(self, address: str) -> None:
        if not ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback:
            assert why_refused(ipaddress.ip_address(address), loopback=True)
