# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Clients and zones. Both may be used by many threads at once."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import os
import secrets
from ctypes import byref, sizeof
from typing import IO, Any, Iterator, Optional, Union

from . import _native
from ._native import Handle, SealOptions, UnsealOptions, library
from .streams import Opened, Pread, Range, Reader, Writer

Name = Union[str, bytes, None]
Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


def _bytes(name: Name) -> Optional[bytes]:
    bound = name.encode() if isinstance(name, str) else name
    if bound is not None and not bound:
        raise ValueError("an empty name binds nothing: leave it out")
    return bound


ALL_PROCESSORS = ctypes.c_size_t(-1).value
"""`threads` of a file: as many as there are processors for the calling thread."""


def _threads(number: int) -> int:
    if not 0 <= number <= ALL_PROCESSORS:
        raise ValueError(f"threads {number}")
    return number


def _seal_options(name: Name, embed: bool = False, collection: int = 0, threads: int = 0) -> SealOptions:
    bound = _bytes(name)
    if not 0 <= collection < 1 << 64:
        raise ValueError(f"collection {collection}")
    return SealOptions(sizeof(SealOptions), bound, len(bound or b""), embed, collection, _threads(threads))


class Client(_native.Counted):
    """What `cmek.open` gives: the module with its projects. Closed by `close`, or as a context."""

    def __init__(self, module: Optional[Path] = None, configuration: Optional[Path] = None, project: Optional[str] = None,
                 pin: Optional[str] = None):
        options = _native.ClientOptions(sizeof(_native.ClientOptions), _native.utf8(module), _native.utf8(configuration), _native.utf8(project),
                                        _native.utf8(pin))
        handle = Handle()
        _native.call(library.cmek_open, byref(options), byref(handle))
        super().__init__()
        self._opened = handle

    @property
    def _handle(self) -> Handle:
        if self._closed:
            raise ValueError("the client is closed")
        return self._opened

    def _call(self, function: Any, *arguments: Any) -> None:
        """No other thread frees the client meanwhile."""
        self._take()
        try:
            _native.call(function, *arguments)
        finally:
            self._drop()

    def _free(self) -> None:
        library.cmek_close(self._opened)

    def close(self) -> None:
        """Its writers, readers and ranges that are still open go on; everything else is of no use then."""
        super().close()

    def __del__(self) -> None:
        if getattr(self, "_opened", None):
            self.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def zone(self, name: str) -> Zone:
        """A database, by "CLUSTER/NAME", "PROJECT:CLUSTER/NAME", or its zone id."""
        return Zone(self, name)

    def _unseal_options(self, name: Name, zone: Optional[Zone], trust_size: bool = False, threads: int = 0) -> UnsealOptions:
        bound = _bytes(name)
        if zone is not None and not isinstance(zone, Zone):
            raise TypeError("zone: what client.zone gave is wanted")
        return UnsealOptions(sizeof(UnsealOptions), bound, len(bound or b""), zone._handle if zone else None, trust_size, _threads(threads))

    def unseal(self, sealed: Any, name: Name = None, zone: Optional[Zone] = None) -> bytes:
        """The bytes of a message or of a file's envelope in memory; `zone`: the only one whose data are opened."""
        data, size = _native.given(sealed)
        options = None if name is None and zone is None else byref(self._unseal_options(name, zone))
        room = library.cmek_unsealed_size(data, size)
        return _native.fill(self._call, room, library.cmek_unseal, self._handle, data, size, options)

    def unseal_file(self, source: Path, target: Path, name: Name = None, zone: Optional[Zone] = None, replace: bool = False,
                    threads: int = 0) -> None:
        """`target` appears whole or not at all. A large one is worked on in so many threads, of which this one is one; 0: in this alone."""
        options = self._unseal_options(name, zone, threads=threads)
        self._call(library.cmek_unseal_file, self._handle, _native.needed(source), _native.needed(target), replace, byref(options))

    def reader(self, source: IO[bytes], name: Name = None, zone: Optional[Zone] = None) -> io.BufferedReader:
        """A stream of what `source` has sealed; closing it leaves `source` open."""
        return io.BufferedReader(Reader(self, source, self._unseal_options(name, zone)), 1 << 16)

    def range(self, pread: Pread, size: int, name: Name = None, zone: Optional[Zone] = None, trust_size: bool = False) -> Range:
        """An object of `size` sealed bytes, of which `pread(length, offset)` gives those that are asked for: seekable, and read
        where one likes, by several threads at once."""
        return Range(self, pread, size, self._unseal_options(name, zone, trust_size))

    def open(self, path: Path, name: Name = None, zone: Optional[Zone] = None) -> io.BufferedReader:
        """A sealed file, as the built-in `open(path, "rb")` would give the plain one."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            raw = self.range(lambda length, offset: os.pread(descriptor, length, offset), size, name, zone)
        except BaseException:
            os.close(descriptor)
            raise
        raw._on_close(lambda: os.close(descriptor))
        return io.BufferedReader(raw, 1 << 16)


class Zone:
    """A database: what is sealed in it, its key opens."""

    def __init__(self, client: Client, name: str):
        self.client = client
        self._opened = Opened(client, library.cmek_zone_free, together=True)
        handle = self._opened._handle
        try:
            _native.call(library.cmek_zone_open, client._handle, _native.needed(name), byref(handle))
        except BaseException:
            self._opened.close()
            raise
        self.id: int = library.cmek_zone_id(handle)
        self.name: str = library.cmek_zone_name(handle).decode()
        self.project: str = library.cmek_zone_project(handle).decode()

    @property
    def _handle(self) -> Handle:
        if self.client._closed:
            raise ValueError("the client is closed")
        return self._opened._handle

    def __del__(self) -> None:
        if getattr(self, "_opened", None):
            self._opened.close()

    def __reduce__(self) -> Any:
        raise TypeError("a zone is of one process; open another by its id")

    def __repr__(self) -> str:
        return f"<cmek.Zone {self.project}:{self.name}>"

    def seal(self, data: Any, name: Name = None, embed: bool = False, collection: int = 0) -> bytes:
        """A message of at most 64 MiB. `name` is bound in: whoever opens it must give the same."""
        plain, size = _native.given(data)
        options = None if name is None and not embed and collection == 0 else byref(_seal_options(name, embed, collection))
        room = library.cmek_sealed_size(self._handle, size, options)
        return _native.fill(self.client._call, room, library.cmek_seal, self._handle, plain, size, options)

    def unseal(self, sealed: Any, name: Name = None) -> bytes:
        """The same as of the client, of this zone alone."""
        return self.client.unseal(sealed, name, self)

    def seal_file(self, source: Path, target: Path, name: Name = None, replace: bool = False, threads: int = 0) -> None:
        """`target` appears whole or not at all. A large one is worked on in so many threads, of which this one is one; 0: in this alone."""
        options = _seal_options(name, threads=threads)
        self.client._call(library.cmek_seal_file, self._handle, _native.needed(source), _native.needed(target), replace, byref(options))

    def writer(self, target: IO[bytes], name: Name = None) -> Writer:
        """What is written to it goes sealed to `target`. `close` writes the end; where a `with` ends by an exception, there is
        none, and what was written does not open. `target` stays open. A wrapper around it (`io.TextIOWrapper`) closes it when it is
        closed itself, in a `with` of its own also after an exception: flush or detach it instead, or take `create`."""
        return Writer(self, target, _seal_options(name))

    @contextlib.contextmanager
    def create(self, path: Path, name: Name = None, replace: bool = False) -> Iterator[Writer]:
        """A file that appears whole when the block ends; after an exception or `abandon` nothing appears, and what was there stays."""
        path = os.fsdecode(path)
        if not replace and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        # With the rights that a new file gets here: what is in it is sealed.
        partial = os.path.join(os.path.dirname(path), f".cmek-{secrets.token_hex(8)}")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            error.filename = path
            raise
        try:
            with os.fdopen(descriptor, "wb") as file:
                with self.writer(file, name) as writer:
                    yield writer
                file.flush()
                os.fsync(file.fileno())
            if writer._finished:
                _publish(partial, path, replace)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)


def _publish(partial: str, path: str, replace: bool) -> None:
    """Under its name at once, and lastingly."""
    if replace:
        os.replace(partial, path)
    else:
        os.link(partial, path)  # FileExistsError, where a rename would replace
    try:
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # it may be written and not read; and some file systems can't sync one
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(folder)
