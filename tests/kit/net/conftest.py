"""Servers and authorities that the tests of the way out share."""

from __future__ import annotations

import ipaddress
import socket

import pytest
import trustme

from tests.fixtures.web import Listener, serve


@pytest.fixture
def listener():
    held = Listener()
    yield held
    held.sock.close()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def pem_file(authority, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.fixture
def web():
    with serve() as held:
        yield held


@pytest.fixture
def dialled(monkeypatch):
    """Where connections went to: public addresses are noted and time out, loopback is really connected to."""
    real, noted = socket.create_connection, []

    def create(address, *how, **more):
        noted.append(address)
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise TimeoutError  # tests send nothing to the internet
        return real(address, *how, **more)

    monkeypatch.setattr(socket, "create_connection", create)
    return noted
