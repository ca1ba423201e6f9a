"""The real server on its real port: TLS 1.3 or nothing."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from tests.fixtures.home import served

__all__ = ["served"]

ASK = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def connect(served):
    until = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", int(served.port)), 10)
        except ConnectionRefusedError:  # it says its address a moment before it listens
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def shake(served, version):
    context = ssl.create_default_context(cafile=str(served.ca))
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with connect(served) as raw, context.wrap_socket(raw, server_hostname="localhost") as link:
        link.sendall(ASK)
        return link.version(), link.recv(64)


@pytest.mark.security
@pytest.mark.slow
@pytest.mark.req("SEC-N01", "SEC-N02")
def test_the_server_speaks_tls_1_3_and_nothing_else(served):
    version, answer = shake(served, ssl.TLSVersion.TLSv1_3)
    assert (version, answer[:12]) == ("TLSv1.3", b"HTTP/1.1 200")
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        shake(served, ssl.TLSVersion.TLSv1_2)
    with connect(served) as plain:
        plain.sendall(ASK)
        plain.settimeout(10)
        try:
            said = plain.recv(4096)
        except ConnectionResetError:
            said = b""
        assert b"HTTP" not in said
        assert said[:1] in (b"", b"\x15")  # at the most a TLS alert
