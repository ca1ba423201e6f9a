"""Sealed archives: age v1 files (https://age-encryption.org/v1), written and read as streams in constant memory.

The library pulls from a reader and pushes into a writer, so it runs in a thread of its own behind a bounded pipe. An
age file is authenticated in chunks of 64 KiB with a marked last one: reading gives only bytes that were checked, and a
cut or changed file fails at the read that meets it. Until a read has returned ``b""``, do not act on the whole.
"""

import io
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import Secret

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_BLOCK = 256 * 1024
_BLOCKS = 4  # at most 1 MiB waits in a pipe
_RECIPIENTS = 1000
# A header that does not end is parsed in quadratic time (3 MB: a minute), so we stop feeding it. 1000 recipients
# take 100 KB; the first chunk and the library's own buffer come on top.
_HEADER = 192 * 1024


class _Cancelled(Exception):
    """The other side of the pipe has gone."""


class _Pipe:
    """A bounded queue of blocks between two threads. A fault of either side reaches the other."""

    def __init__(self) -> None:
        self._blocks: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._finished = False
        self._fault: BaseException | None = None
        self.head = memoryview(b"")  # touched by the reading side only

    def put(self, data: bytes) -> None:
        """Hand over a block; waits while the pipe is full. Raises the fault of the other side."""
        with self._changed:
            self._changed.wait_for(lambda: self._fault or len(self._blocks) < _BLOCKS)
            if self._fault:
                raise self._fault
            self._blocks.append(data)
            self._changed.notify_all()

    def end(self) -> None:
        """Say that no more blocks come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def fail(self, fault: BaseException) -> None:
        """Break the pipe. The first fault stays."""
        with self._changed:
            self._fault = self._fault or fault
            self._blocks.clear()
            self._changed.notify_all()

    def finish(self) -> None:
        """Say that the reading side is done with all it was given."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def done(self) -> None:
        """Wait for ``finish``. Raises the fault of the other side."""
        with self._changed:
            self._changed.wait_for(lambda: self._fault or self._finished)
            if self._fault:
                raise self._fault

    def check(self) -> None:
        """Raise the fault, if there is one."""
        with self._changed:
            if self._fault:
                raise self._fault

    def read(self, size: int) -> bytes:
        """Return 1 to ``size`` bytes, ``b""`` at the end; waits while empty. Raises the fault of the other side."""
        if not self.head:
            with self._changed:
                self._changed.wait_for(lambda: self._fault or self._blocks or self._ended)
                if self._fault:
                    raise self._fault
                self.head = memoryview(self._blocks.popleft() if self._blocks else b"")
                self._changed.notify_all()
        taken, self.head = bytes(self.head[:size]), self.head[size:]
        return taken


class _Collector:
    """Gathers small writes into blocks for a pipe."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        self._held = bytearray()

    def write(self, data: "ReadableBuffer") -> int:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _BLOCK):
            self._held += view[start : start + _BLOCK]
            if len(self._held) >= _BLOCK:
                self.flush()
        return len(view)

    def flush(self) -> None:
        """Hand over what is held."""
        if self._held:
            self._pipe.put(bytes(self._held))
            self._held.clear()


def _taken(done: int | None) -> int:
    if done is None:  # what io.RawIOBase.write says for "try again later"
        msg = "the target must be a blocking one"
        raise OSError(msg)
    return done


class _Source:
    """What the library reads from. It keeps the fault itself: the library passes on only its text."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.fault: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._read(size)
        except BaseException as fault:
            self.fault = fault
            raise


class _Sink:
    """What the library writes to. It keeps the fault, and writes until all is written."""

    def __init__(self, write: "Callable[[memoryview], int | None]") -> None:
        self._write = write
        self.begun = False
        self.fault: BaseException | None = None

    def write(self, data: "ReadableBuffer") -> int:
        self.begun = True
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left:
                left = left[_taken(self._write(left)) :]
        except BaseException as fault:
            self.fault = fault
            raise
        return size

    def check(self) -> None:
        """Raise the fault that the library may have swallowed: it does so in its last write (pyrage 1.4.0)."""
        if self.fault:
            raise self.fault

    def flush(self) -> None:
        """Do nothing: the library flushes after each chunk, the pipe and the target at their own pace."""


def _encrypt(pipe: _Pipe, out: BinaryIO, recipients: list[Any]) -> None:
    import pyrage

    source, sink = _Source(pipe.read), _Sink(out.write)
    try:
        pyrage.encrypt_io(source, sink, recipients)
        sink.check()
        pipe.finish()
    except BaseException as fault:  # noqa: BLE001 - whatever it is, it is raised in the thread of the writer
        pipe.fail(sink.fault or source.fault or fault)


def _decrypt(pipe: _Pipe, data: BinaryIO, identities: list[Any]) -> None:
    import pyrage

    blocks = _Collector(pipe)
    sink = _Sink(blocks.write)
    fed = 0

    def read(size: int) -> bytes:
        nonlocal fed
        if fed > _HEADER and not sink.begun:
            raise Corrupt
        taken = data.read(size)
        fed += len(taken)
        return taken

    source = _Source(read)
    try:
        pyrage.decrypt_io(source, sink, identities)
        sink.check()
        blocks.flush()
        pipe.end()
    except (pyrage.DecryptError, OSError):  # the library's own words tell causes apart
        pipe.fail(sink.fault or source.fault or Corrupt())
    except BaseException as fault:  # noqa: BLE001 - whatever it is, it is raised in the thread of the reader
        pipe.fail(fault)


def _start(owner: object, work: Callable[..., None], pipe: _Pipe, *args: object) -> Callable[[], object]:
    """Start ``work(pipe, *args)`` in a thread; return what ends it.

    It is ended too when ``owner`` is collected and when the process exits, before its threads are frozen. The thread
    does not know ``owner``, or it would keep it alive.
    """
    thread = threading.Thread(target=work, args=(pipe, *args), name=work.__name__, daemon=True)
    thread.start()
    return weakref.finalize(owner, _end, pipe, thread)


def _end(pipe: _Pipe, thread: threading.Thread) -> None:
    pipe.fail(_Cancelled())
    if thread is not threading.current_thread():  # the collector may run in any thread
        thread.join()


class Sealer(io.RawIOBase):
    """A file to write plaintext into; age ciphertext arrives in ``out``, which stays open and is the caller's to close.

    ``close()`` completes the archive; only after it has returned is the archive whole. Leaving a ``with`` block by an
    exception, ``abort()`` or dropping the object leaves an archive that does not open. Errors of ``out`` are raised as
    they are by the next ``write`` or by ``close``. One thread writes.
    """

    _stop: Callable[[], object] | None = None

    def __init__(self, recipients: Sequence[str], out: BinaryIO) -> None:
        """Begin an archive for 1 to 1000 ``recipients``. Raises ``Invalid`` for a bad one or none."""
        super().__init__()
        if isinstance(recipients, str) or not 1 <= len(recipients) <= _RECIPIENTS:
            raise Invalid(f"A sealed archive needs a list of 1 to {_RECIPIENTS} recipients.")
        keys = [_recipient(text) for text in recipients]
        self._pipe = _Pipe()
        self._blocks = _Collector(self._pipe)
        self._count = 0
        self._stop = _start(self, _encrypt, self._pipe, out, keys)

    def writable(self) -> bool:
        """Tell that it is written to."""
        return True

    def tell(self) -> int:
        """Return the number of plaintext bytes written."""
        return self._count

    def write(self, data: "ReadableBuffer") -> int:
        """Take all of ``data``; waits while 1 MiB is not yet sealed. Returns its length in bytes."""
        if self.closed:
            msg = "the archive is closed"
            raise ValueError(msg)
        self._pipe.check()
        size = self._blocks.write(data)
        self._count += size
        return size

    def close(self) -> None:
        """Complete the archive. Raises what went wrong in sealing or in ``out``; closing again does nothing."""
        if self.closed:
            return
        try:
            self._blocks.flush()
            self._pipe.end()
            self._pipe.done()
        except BaseException:
            self.abort()
            raise
        super().close()

    def abort(self) -> None:
        """Stop without completing: what stands in ``out`` will not open. Does nothing after ``close``."""
        if not self.closed:
            if self._stop:
                self._stop()
            super().close()

    def __exit__(self, kind: object, fault: object, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        self.abort()  # not close(), as the base class does: what nobody completed is not complete


class _Opened(io.RawIOBase):
    """The reading side of an archive."""

    def __init__(self, data: BinaryIO, identities: list[Any]) -> None:
        super().__init__()
        self._pipe = _Pipe()
        self._stop = _start(self, _decrypt, self._pipe, data, identities)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self._pipe.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stop()
        super().close()


def seal_to(recipients: Sequence[str], out: BinaryIO) -> Sealer:
    """Return a file to write into; what arrives in ``out`` opens with any of the recipients' identities."""
    return Sealer(recipients, out)


def open_sealed(identity: Secret, data: BinaryIO) -> BinaryIO:
    """Return a stream of the plaintext of an age archive. ``data`` stays open and is the caller's to close.

    ``identity`` is an ``AGE-SECRET-KEY-1…`` line, or a whole identity file (several, comments). Raises ``Invalid`` when
    it is none. A wrong identity, a changed or a cut archive raises ``Corrupt`` at the read that meets it.
    """
    return io.BufferedReader(_Opened(data, _identities(identity)), _BLOCK)


def new_identity() -> tuple[Secret, str]:
    """Return a fresh identity (keep it away from this machine) and its recipient (to seal to)."""
    import pyrage

    made = pyrage.x25519.Identity.generate()
    return Secret(str(made)), str(made.to_public())


def check_recipient(text: str) -> str:
    """Return ``text`` as the one form of an age X25519 recipient (``age1…``). Raises ``Invalid``."""
    return str(_recipient(text))


def _recipient(text: str) -> Any:
    import pyrage

    plain = text.strip()
    if plain.upper().startswith("AGE-SECRET-KEY-"):
        raise Invalid("That is the secret identity, not the recipient.", hint="Give the age1… line; make a new pair.")
    try:
        return pyrage.x25519.Recipient.from_str(plain)
    except pyrage.RecipientError:
        raise Invalid("That is not an age recipient.", hint="It starts with age1 and has 62 characters.") from None


def _identities(identity: Secret) -> list[Any]:
    import pyrage

    lines = [line.strip() for line in identity.reveal().splitlines()]
    try:
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise Invalid("That is not an age identity.", hint="It starts with AGE-SECRET-KEY-1.")
    return found
