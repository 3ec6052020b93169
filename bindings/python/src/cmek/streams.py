# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Writers, readers and ranges as Python's own files. What a stream of the caller raises, comes out as it is."""

from __future__ import annotations

import ctypes
import errno
import io
import threading
from ctypes import byref, c_size_t
from typing import IO, TYPE_CHECKING, Any, Callable, List, Optional

from . import _native
from ._native import Handle, SealOptions, UnsealOptions, library

if TYPE_CHECKING:
    from .client import Client, Zone

Pread = Callable[[int, int], bytes]
"""length, offset: all of those bytes."""


class _Raised(threading.local):
    """What a function of the caller raised, in this thread, until the call that called it has ended."""

    error: Optional[BaseException] = None
    number: Optional[int] = None  # what C was told last

    def guard(self, work: Callable[[], None]) -> int:
        try:
            work()
            return 0
        except BaseException as error:  # also a KeyboardInterrupt, which C can't pass on
            self.error = error
            number = getattr(error, "errno", None)  # of any exception, and so of any type
            self.number = number if isinstance(number, int) and 0 < number < 4096 else errno.EIO
            return self.number

    def call(self, function: Any, *arguments: Any) -> None:
        self.error = told = None
        try:
            _native.call(function, *arguments)
        except Exception as error:
            told = error
        raised, self.error = self.error, None
        if raised is not None:
            raise raised from None
        if isinstance(told, OSError) and told.errno != self.number:
            raise _lost() from None
        if told is not None:
            raise told


def _lost() -> OSError:
    """Of a signal's handler that raises as C calls, before the first line of ours: ctypes loses that, and C is told anything."""
    return InterruptedError(errno.EINTR, "a signal's handler raised while a part was read or written")


class Opened(_native.Counted):
    """A zone, writer, reader or range of C's, which goes before its owner, a client or a writer's zone, in whatever order Python
    finds them. Whoever closes it while another thread is in a call does not free it under that."""

    def __init__(self, owner: _native.Counted, free: Any, together: bool = False):
        super().__init__()
        owner._take()
        self._owner, self._free_it, self._together = owner, free, together
        self._handle = Handle()

    def __enter__(self) -> Handle:
        with self._lock:
            self._take()
            if self._users > 1 and not self._together:
                self._users -= 1
                raise RuntimeError("a writer or reader is used by one at a time")
        return self._handle

    def __exit__(self, *_: Any) -> None:
        self._drop()

    def _free(self) -> None:
        if self._handle:
            self._free_it(self._handle)
        self._owner._drop()


def _copy(data: Any, out: int, room: int) -> int:
    """What a function of the caller gave to where C wants it."""
    if data is None:
        raise BlockingIOError(errno.EAGAIN, "the stream has nothing for now")
    given = _native.view(data)
    if given.nbytes > room:
        raise OSError(errno.EIO, f"{given.nbytes} bytes came, and {room} were wanted")
    if given.nbytes:
        memoryview((ctypes.c_char * room).from_address(out)).cast("B")[:given.nbytes] = given
    return given.nbytes


class Writer(io.RawIOBase):
    """Seals what is written."""

    def __init__(self, zone: Zone, target: IO[bytes], options: SealOptions):
        super().__init__()
        self._target, self._raised = target, _Raised()
        self._header, self._plain, self._sealed, self._finished = b"", 0, 0, False
        self._write = _native.Write(lambda _, data, length: self._raised.guard(lambda: self._put_out(ctypes.string_at(data, length))))
        self._opened = Opened(zone._opened, library.cmek_writer_free)
        try:
            self._raised.call(library.cmek_writer_new, zone._handle, byref(options), self._write, None, byref(self._opened._handle))
        except BaseException:
            self._opened.close()
            raise

    def _put_out(self, sealed: bytes) -> None:
        """A copy, which `target` may keep: C writes over its own."""
        self._header = self._header or sealed
        self._sealed += len(sealed)
        _write_all(self._target, sealed)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.closed:
            raise ValueError("write to a closed writer")
        plain, size = _native.given(data)
        with self._opened as handle:
            self._raised.call(library.cmek_writer_put, handle, plain, size)
            self._plain += size
        return size

    def _finish(self) -> None:
        with self._opened as handle:
            self._raised.call(library.cmek_writer_finish, handle)
        if not self._header or library.cmek_unsealed_size(self._header, self._sealed) != self._plain:
            raise _lost()
        self._finished = True

    def close(self) -> None:
        """Writes the end."""
        if not self.closed:
            try:
                if not self._opened._closed:
                    self._finish()
            finally:
                self._end()

    def abandon(self) -> None:
        """Ends it without an end: what was written does not open."""
        self._end()

    def _end(self) -> None:
        self._opened.close()
        super().close()

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def __del__(self) -> None:
        if getattr(self, "_opened", None):
            self.abandon()


def _write_all(target: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest.nbytes:
        count = target.write(rest)
        if count is None and isinstance(target, io.RawIOBase):  # it took nothing, and would block
            raise BlockingIOError(errno.EAGAIN, "the stream takes nothing for now")
        if count is None:  # of somebody's own, which took all
            return
        if not 0 < count <= rest.nbytes:
            raise OSError(errno.EIO, f"{count} of {rest.nbytes} bytes were written")
        rest = rest[count:]


class Reader(io.RawIOBase):
    """Gives what is verified; the end too."""

    def __init__(self, client: Client, source: IO[bytes], options: UnsealOptions):
        super().__init__()
        self._raised = _Raised()
        self._read = _native.Read(lambda _, out, room, length: self._raised.guard(lambda: _read_some(source, out, room, length)))
        self._opened = Opened(client, library.cmek_reader_free)
        try:
            self._raised.call(library.cmek_reader_new, client._handle, byref(options), self._read, None, byref(self._opened._handle))
        except BaseException:
            self._opened.close()
            raise
        self.zone: int = library.cmek_reader_zone(self._opened._handle)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.closed:
            raise ValueError("read of a closed reader")
        (out, room), length = _native.wanted(buffer), c_size_t()
        with self._opened as handle:
            self._raised.call(library.cmek_reader_get, handle, out, room, byref(length))
        return length.value

    def close(self) -> None:
        if getattr(self, "_opened", None):
            self._opened.close()
        super().close()


def _read_some(source: IO[bytes], out: int, room: int, length: Any) -> None:
    length[0] = _copy(source.read(room), out, room)


class Range(io.RawIOBase):
    """A sealed object that is read where one likes. `pread` may be called by several threads at once."""

    def __init__(self, client: Client, pread: Pread, sealed_size: int, options: UnsealOptions):
        super().__init__()
        self._raised, self._at = _Raised(), 0
        self._closers: List[Callable[[], None]] = []
        self._pread = _native.Pread(lambda _, out, length, offset: self._raised.guard(lambda: _read_at(pread, out, length, offset)))
        if not 0 <= sealed_size < 1 << 63:
            raise ValueError(f"an object of {sealed_size} bytes")
        self._opened = Opened(client, self._free, together=True)
        try:
            self._raised.call(library.cmek_range_new, client._handle, byref(options), self._pread, None, sealed_size,
                              byref(self._opened._handle))
        except BaseException:
            self._opened.close()
            raise
        self.size: int = library.cmek_range_size(self._opened._handle)
        self.zone: int = library.cmek_range_zone(self._opened._handle)

    def _on_close(self, closer: Callable[[], None]) -> None:
        self._closers.append(closer)

    def pread(self, length: int, offset: int) -> bytes:
        """Up to `length` bytes at `offset`, fewer at the end only; by several threads at once."""
        if length < 0 or offset < 0:
            raise ValueError(f"{length} bytes at {offset}")
        room = min(length, max(self.size - offset, 0))
        out = _native.room_for(room)
        try:
            return out[:self._read_at(out, room, offset)]
        except BaseException:
            ctypes.memset(out, 0, room)
            raise

    def _read_at(self, out: Any, room: int, offset: int) -> int:
        if self.closed:
            raise ValueError("read of a closed range")
        length = c_size_t()
        if offset >= self.size:
            return 0
        with self._opened as handle:
            self._raised.call(library.cmek_range_read, handle, out, room, offset, byref(length))
        return length.value

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._read_at(*_native.wanted(buffer), self._at)
        self._at += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if at < 0:
            raise ValueError(f"seek to {at}, before the beginning")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def _free(self, handle: Handle) -> None:
        """When the last thread has left it: what it reads stays open until then."""
        library.cmek_range_free(handle)
        while self._closers:
            self._closers.pop()()

    def close(self) -> None:
        if getattr(self, "_opened", None):
            self._opened.close()
        super().close()


def _read_at(pread: Pread, out: int, length: int, offset: int) -> None:
    count = _copy(pread(length, offset), out, length)
    if count != length:
        raise OSError(errno.EIO, f"{count} of {length} bytes at {offset}")
