"""OpenPGP seals: a child process of the task, because the library works on files and holds the interpreter's lock.

Data goes in on one pipe and out on another, keys over a third, never through arguments or environment. What it says in
the end comes on a fourth: nothing of what came out counts before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Self

from sluicegate.base.errors import Internal, SluiceError, rebuild
from sluicegate.base.secret import Secret
from sluicegate.crypto.seal import openpgp
from sluicegate.crypto.seal.stream import BLOCK, Pipe, Sealer, Sink, reading
from sluicegate.engine.task import settle

_SOURCE = Path(__file__).resolve().parents[2]
_ORDER_MAX = 16 << 20


def seal_to(certificates: Sequence[str], signer: Secret | None, out: BinaryIO) -> Sealer:
    """Return a file to write into; in ``out`` arrives a binary OpenPGP message. Raises ``Invalid`` for a bad key."""
    for each in certificates:
        openpgp.check_certificate(each)
    if signer is not None:
        openpgp.check_key(signer)
    order = {"do": "seal", "to": list(certificates), "key": signer.reveal() if signer else None}
    return Sealer(partial(_seal, order), out)


def open_sealed(key: Secret, signers: Sequence[str], data: BinaryIO) -> BinaryIO:
    """Return a stream of the plaintext of an OpenPGP message, of which nothing is proved before its end.

    ``signers``: certificates, of which one must have signed it. Raises ``Corrupt`` at the read that meets something
    wrong, the end at the latest.
    """
    order = {"do": "unseal", "to": list(signers), "key": key.reveal()}
    return reading(partial(_unseal, order), data)


def _seal(order: dict[str, Any], pipe: Pipe, out: BinaryIO) -> None:
    sink = Sink(out.write)
    _carry(order, pipe.read, sink.write, pipe, pipe.finish)


def _unseal(order: dict[str, Any], pipe: Pipe, data: BinaryIO) -> None:
    _carry(order, data.read, pipe.put, pipe, pipe.end)


def _carry(
    order: dict[str, Any], read: Callable[[int], bytes], write: Callable[[bytes], object], pipe: Pipe,
    done: Callable[[], None],
) -> None:  # fmt: skip
    """Carry ``read`` through a child into ``write``; all that goes wrong goes into ``pipe``."""
    try:
        with _Child(order) as child:
            feeder = threading.Thread(target=child.feed, args=(read,), name="seal-feed", daemon=True)
            feeder.start()
            try:
                while block := child.out.read1(BLOCK):
                    write(block)
            finally:
                child.kill()
                feeder.join()
            if child.fault is not None:
                raise child.fault
            child.check()
        done()
    except BaseException as fault:  # noqa: BLE001 - whatever it is, it is raised in the thread of the other side
        pipe.fail(fault)


class _Child:
    """One child process, which seals or unseals one file."""

    def __init__(self, order: dict[str, Any]) -> None:
        pairs = [os.pipe() for _ in range(4)]
        (orders_in, orders), (data_in, data), (out, out_in), (told, told_in) = pairs
        theirs = (orders_in, data_in, out_in, told_in)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-s", "-P", "-m", "sluicegate.engine.pgp", *map(str, theirs)],
                pass_fds=theirs, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": str(_SOURCE), "LANG": "C.UTF-8", "PATH": os.defpath, "RUST_LIB_BACKTRACE": "0"},
                cwd="/",
            )  # fmt: skip
        except BaseException:
            for each in (orders, data, out, told):
                os.close(each)
            raise
        finally:
            for each in theirs:
                os.close(each)
        self._data = os.fdopen(data, "wb", buffering=0)
        self.out = os.fdopen(out, "rb")
        self._told = os.fdopen(told, "rb")
        self.fault: BaseException | None = None
        with os.fdopen(orders, "wb") as pipe, suppress(BrokenPipeError):
            pipe.write(json.dumps(order).encode())

    def feed(self, read: Callable[[int], bytes]) -> None:
        """Hand the child all that ``read`` gives. What goes wrong there is kept as ``fault``, and ends the child."""
        try:
            while block := read(BLOCK):
                left = memoryview(block)
                while left:
                    try:
                        left = left[self._data.write(left) :]
                    except BrokenPipeError:
                        return  # the child has ended, and says why
            self._data.close()  # the end of the plaintext: never before all of it was handed over
        except BaseException as fault:  # noqa: BLE001 - raised by the thread that waits for the child
            self.fault = fault
            self._process.kill()

    def check(self) -> None:
        """Raise what the child says went wrong; ``Internal`` when it ended without a word."""
        answer = self._told.read(_ORDER_MAX)
        if not answer:
            raise Internal("The process that seals ended by itself.")
        problem = json.loads(answer)
        if problem:
            raise rebuild(problem)

    def kill(self) -> None:
        """End the child, if it has not ended: it says what it has to say before it closes its output."""
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for each in (self._data, self.out, self._told):
            each.close()


# -- in the child ------------------------------------------------------------------------------------------------------


def _serve(order: dict[str, Any], source: str, target: str) -> dict[str, Any]:
    """Do what the order says and return the problem, empty when there is none."""
    key = Secret(order["key"]) if order["key"] else None
    try:
        if order["do"] == "seal":
            openpgp.seal(order["to"], key, source, target)
        elif key is not None:
            openpgp.unseal(key, order["to"], source, target)
    except SluiceError as fault:
        return fault.problem()
    except Exception:  # noqa: BLE001 - the last door of the process: the library raises Exception itself
        return Internal().problem()
    return {}


def main() -> None:
    """Serve the four descriptors named in the arguments: order, data, output, what to say."""
    settle()
    orders, data, out, told = (int(each) for each in sys.argv[1:])
    with os.fdopen(orders, "rb") as pipe:
        order = json.loads(pipe.read(_ORDER_MAX))
    problem = _serve(order, f"/proc/self/fd/{data}", f"/proc/self/fd/{out}")
    with os.fdopen(told, "wb") as pipe:
        pipe.write(json.dumps(problem).encode())


if __name__ == "__main__":
    main()
