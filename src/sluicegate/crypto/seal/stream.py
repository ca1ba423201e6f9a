"""What all seals share: a thread of its own behind a bounded pipe. Libraries pull from a reader, or push to a writer.

A ``Sealer`` is a file to write into, an ``Opened`` one to read from. Which kind of archive it is, its work decides.
"""

import io
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

BLOCK = 256 * 1024
_BLOCKS = 4  # at most 1 MiB waits in a pipe


class Cancelled(Exception):
    """The other side of the pipe has gone."""


class Pipe:
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


Work = Callable[[Pipe, BinaryIO], None]
"""What a seal does in its thread. All that goes wrong goes into the pipe; it raises nothing."""


class Collector:
    """Gathers small writes into blocks for a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._held = bytearray()

    def write(self, data: "ReadableBuffer") -> int:
        """Take ``data``."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), BLOCK):
            self._held += view[start : start + BLOCK]
            if len(self._held) >= BLOCK:
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


class Source:
    """What the library reads from. It keeps the fault itself: the library passes on only its text."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.fault: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        """Read, and keep the fault."""
        try:
            return self._read(size)
        except BaseException as fault:
            self.fault = fault
            raise


class Sink:
    """What the library writes to. It keeps the fault, and writes until all is written."""

    def __init__(self, write: "Callable[[memoryview], int | None]") -> None:
        self._write = write
        self.begun = False
        self.fault: BaseException | None = None

    def write(self, data: "ReadableBuffer") -> int:
        """Write all of ``data``, and keep the fault."""
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


def _start(owner: object, work: Work, pipe: Pipe, other: BinaryIO) -> Callable[[], object]:
    """Start ``work(pipe, other)`` in a thread; return what ends it.

    It is ended too when ``owner`` is collected and when the process exits, before its threads are frozen. The thread
    does not know ``owner``, or it would keep it alive.
    """
    thread = threading.Thread(target=work, args=(pipe, other), name="seal", daemon=True)
    thread.start()
    return weakref.finalize(owner, _end, pipe, thread)


def _end(pipe: Pipe, thread: threading.Thread) -> None:
    pipe.fail(Cancelled())
    if thread is not threading.current_thread():  # the collector may run in any thread
        thread.join()


class Sealer(io.RawIOBase):
    """A file to write plaintext into; ciphertext arrives in ``out``, which stays open and is the caller's to close.

    ``close()`` completes the archive; only after it has returned is the archive whole. Leaving a ``with`` block by an
    exception, ``abort()`` or dropping the object leaves an archive that does not open. Errors of ``out`` are raised as
    they are by the next ``write`` or by ``close``. One thread writes.
    """

    _stop: Callable[[], object] | None = None

    def __init__(self, work: Work, out: BinaryIO) -> None:
        """Begin an archive: ``work`` takes plaintext from the pipe, writes to ``out``, and says when it is done."""
        super().__init__()
        self._pipe = Pipe()
        self._blocks = Collector(self._pipe)
        self._count = 0
        self._stop = _start(self, work, self._pipe, out)

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


class Opened(io.RawIOBase):
    """The reading side of an archive."""

    def __init__(self, work: Work, data: BinaryIO) -> None:
        """Begin to open: ``work`` reads ``data``, puts plaintext into the pipe, and says when it is done."""
        super().__init__()
        self._pipe = Pipe()
        self._stop = _start(self, work, self._pipe, data)

    def readable(self) -> bool:
        """Tell that it is read from."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill ``buffer`` as far as there is something; 0 at the end. Raises ``Corrupt`` or the error of the source."""
        view = memoryview(buffer).cast("B")
        data = self._pipe.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Stop, whether all was read or not."""
        self._stop()
        super().close()


def reading(work: Work, data: BinaryIO) -> BinaryIO:
    """Return the plaintext that ``work`` finds in ``data``, buffered."""
    return io.BufferedReader(Opened(work, data), BLOCK)
