"""Open files between processes, and what importing the way out costs."""

from __future__ import annotations

import array
import os
import socket
import subprocess
import sys

import pytest

from sluicegate.base.errors import Failed, Invalid, Unreachable
from sluicegate.kit.net import (
    answers,
    free_port,
    local_pair,
    receive_descriptors,
    send_descriptors,
    why_taken,
)


def test_descriptors_cross_whole_and_are_not_inherited(tmp_path):
    (tmp_path / "x").write_bytes(b"data")
    near, far = local_pair()
    with near, far:
        file = os.open(tmp_path / "x", os.O_RDONLY)
        send_descriptors(near, b"first", [file])
        send_descriptors(near, b"second", [])
        os.close(file)
        data, (fd,) = receive_descriptors(far)
        assert (data, os.read(fd, 9), os.get_inheritable(fd)) == (b"first", b"data", False)
        os.close(fd)
        assert receive_descriptors(far) == (b"second", [])
        send_descriptors(near, b"x" * 65536, [near.fileno()] * 64)
        data, fds = receive_descriptors(far)
        assert (len(data), len(fds)) == (65536, 64)
        for each in fds:
            os.close(each)
        near.close()
        assert receive_descriptors(far) == (b"", [])
        with pytest.raises(Unreachable, match="gone"):
            send_descriptors(far, b"x", [])
        assert not far.get_inheritable()


@pytest.mark.security
def test_a_message_that_does_not_fit_is_refused_on_both_sides():
    near, far = local_pair()
    with near, far:
        for data, fds in ((b"", []), (b"x" * 65537, []), (b"x", [0] * 65)):
            with pytest.raises(Invalid):
                send_descriptors(near, data, fds)
        before = len(os.listdir("/proc/self/fd"))
        near.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [near.fileno()] * 100))])
        near.sendmsg([b"x" * 65537], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [near.fileno()]))])
        for _ in range(2):
            with pytest.raises(Failed, match="cut short"):
                receive_descriptors(far)
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_free_port_can_be_bound():
    with socket.create_server(("127.0.0.1", free_port())) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"


def test_importing_the_way_out_is_quick_and_loads_nothing_heavy():
    script = (
        "import sys, sluicegate.base.model, sluicegate.base.errors, time\n"
        "start = time.process_time()\n"
        "import sluicegate.kit.net\n"
        "took = time.process_time() - start\n"
        "heavy = {'ssl', 'http.client', 'httpx', 'httpcore', 'pyarrow', 'duckdb'} & set(sys.modules)\n"
        "print(took < 0.03, sorted(heavy))"
    )
    told = []
    while "True []" not in told and len(told) < 5:  # a busy machine may be slow once
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        told.append(ran.stdout.strip())
    assert "True []" in told


@pytest.mark.security
def test_a_port_is_taken_even_by_a_listener_that_shares_it():
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        sock.listen()
        assert "in use" in why_taken("127.0.0.1", port)
        assert "in use" in why_taken("0.0.0.0", port)
    assert why_taken("127.0.0.1", port) == ""
    assert why_taken("192.0.2.1", port) != "", "an address that is not ours"


def test_who_listens_answers():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        assert answers("127.0.0.1", port)
        assert answers("0.0.0.0", port)
    assert not answers("127.0.0.1", port)
