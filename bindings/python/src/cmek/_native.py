# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""libcmek by ctypes, which releases the GIL in each call: include/cmek/cmek.h, line by line."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from typing import Any, Callable, Optional

from . import errors

LIBRARY = "libcmek.so.0"

Handle = c_void_p
Write = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t)
Read = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, POINTER(c_size_t))
Pread = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, c_uint64)


class ClientOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("module", c_char_p), ("configuration", c_char_p), ("project", c_char_p), ("pin", c_char_p)]


class SealOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("name_len", c_size_t), ("embed", c_bool), ("collection", c_uint64),
                ("threads", c_size_t)]


class UnsealOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("name_len", c_size_t), ("zone", c_void_p), ("trust_size", c_bool),
                ("threads", c_size_t)]


# Name: what it answers (int: a status, with an error in the last place), what it takes.
_error = POINTER(Handle)
_functions = {
    "cmek_error_status": (c_int, [Handle]),
    "cmek_error_text": (c_char_p, [Handle]),
    "cmek_error_may_pass": (c_bool, [Handle]),
    "cmek_error_request_id": (c_char_p, [Handle]),
    "cmek_error_errno": (c_int, [Handle]),
    "cmek_error_free": (None, [Handle]),
    "cmek_version": (c_char_p, []),
    "cmek_open": (c_int, [POINTER(ClientOptions), POINTER(Handle), _error]),
    "cmek_close": (None, [Handle]),
    "cmek_zone_open": (c_int, [Handle, c_char_p, POINTER(Handle), _error]),
    "cmek_zone_free": (None, [Handle]),
    "cmek_zone_id": (c_uint64, [Handle]),
    "cmek_zone_name": (c_char_p, [Handle]),
    "cmek_zone_project": (c_char_p, [Handle]),
    "cmek_sealed_size": (c_size_t, [Handle, c_size_t, POINTER(SealOptions)]),
    "cmek_seal": (c_int, [Handle, c_void_p, c_size_t, POINTER(SealOptions), c_void_p, c_size_t, POINTER(c_size_t), _error]),
    "cmek_unsealed_size": (c_size_t, [c_void_p, c_size_t]),
    "cmek_unseal": (c_int, [Handle, c_void_p, c_size_t, POINTER(UnsealOptions), c_void_p, c_size_t, POINTER(c_size_t), _error]),
    "cmek_seal_file": (c_int, [Handle, c_char_p, c_char_p, c_bool, POINTER(SealOptions), _error]),
    "cmek_unseal_file": (c_int, [Handle, c_char_p, c_char_p, c_bool, POINTER(UnsealOptions), _error]),
    "cmek_writer_new": (c_int, [Handle, POINTER(SealOptions), Write, c_void_p, POINTER(Handle), _error]),
    "cmek_writer_put": (c_int, [Handle, c_void_p, c_size_t, _error]),
    "cmek_writer_finish": (c_int, [Handle, _error]),
    "cmek_writer_free": (None, [Handle]),
    "cmek_reader_new": (c_int, [Handle, POINTER(UnsealOptions), Read, c_void_p, POINTER(Handle), _error]),
    "cmek_reader_get": (c_int, [Handle, c_void_p, c_size_t, POINTER(c_size_t), _error]),
    "cmek_reader_zone": (c_uint64, [Handle]),
    "cmek_reader_free": (None, [Handle]),
    "cmek_range_new": (c_int, [Handle, POINTER(UnsealOptions), Pread, c_void_p, c_uint64, POINTER(Handle), _error]),
    "cmek_range_size": (c_uint64, [Handle]),
    "cmek_range_zone": (c_uint64, [Handle]),
    "cmek_range_read": (c_int, [Handle, c_void_p, c_size_t, c_uint64, POINTER(c_size_t), _error]),
    "cmek_range_free": (None, [Handle]),
}


def _load() -> Any:
    """$CMEK_LIBRARY, else what the system's loader finds."""
    path = os.environ.get("CMEK_LIBRARY") or LIBRARY
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"{error}; install the package libcmek0, or say in CMEK_LIBRARY where it is") from error
    for name, (result, arguments) in _functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


library = _load()


def failure(status: int, error: Handle) -> Exception:
    """The exception of a call that did not end well; frees the error."""
    if not error:
        return errors.Failed(f"status {status}")
    try:
        text = library.cmek_error_text(error).decode("utf-8", "replace")
        number = library.cmek_error_errno(error)
        if status == errors.IO or number:
            return errors.system_error(number, text)
        kind = errors.KINDS.get(status, errors.Failed)
        return kind(text, library.cmek_error_may_pass(error), library.cmek_error_request_id(error).decode())
    finally:
        library.cmek_error_free(error)


def call(function: Any, *arguments: Any) -> None:
    """Calls what answers a status, or raises."""
    error = Handle()
    status = function(*arguments, byref(error))
    if status:
        raise failure(status, error)


def utf8(text: Optional[Any]) -> Optional[bytes]:
    """A path, a text or bytes as C sees it."""
    encoded = None if text is None else os.fsencode(text)
    if encoded is not None and b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded


def needed(given: Any) -> bytes:
    """A name or path as C sees it, which has to be there: TypeError for None, of which C would be given NULL."""
    encoded = utf8(os.fspath(given))
    assert encoded is not None
    return encoded


class Counted:
    """What C frees when it is closed and no call, zone or stream needs it any more. The lock is one that a finalizer may take,
    which comes in between anywhere; a child of fork has a new one."""

    all: "weakref.WeakSet[Counted]" = weakref.WeakSet()

    def __init__(self) -> None:
        self._lock, self._users, self._closed = threading.RLock(), 0, False
        Counted.all.add(self)

    def _free(self) -> None:
        """Once."""

    def _free_unused(self) -> None:
        if self._closed and self._users == 0:
            self._users = -1
            self._free()

    def _take(self) -> None:
        with self._lock:
            if self._closed:
                raise ValueError(f"the {type(self).__name__.lower()} is closed")
            self._users += 1

    def _drop(self) -> None:
        with self._lock:
            self._users -= 1
            self._free_unused()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._free_unused()

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__.lower()} is of one process; open another")


def _in_child() -> None:
    for counted in list(Counted.all):
        counted._lock = threading.RLock()


os.register_at_fork(after_in_child=_in_child)


def view(data: Any) -> "memoryview[int]":
    """The bytes of whatever has a buffer."""
    bytes_of = memoryview(data)
    return bytes_of if bytes_of.contiguous and bytes_of.format == "B" and bytes_of.ndim == 1 else bytes_of.cast("B")


def address(data: "memoryview[int]") -> Any:
    """Where they lie, which holds them there; what is read-only is not copied."""
    if not data.nbytes:
        return None
    if data.readonly:
        # ctypes takes no read-only buffer by from_buffer; the buffer protocol itself does.
        pointer = _Buffer()
        _get_buffer(data, byref(pointer), 0)
        try:
            return _Place(pointer.buf, data)
        finally:
            _release_buffer(byref(pointer))
    return (ctypes.c_char * data.nbytes).from_buffer(data)


def given(data: Any) -> "tuple[Any, int]":
    """Where the bytes of whatever has a buffer lie, which holds them there, and how many."""
    if type(data) is bytes:  # ctypes gives its place as it is
        return data, len(data)
    bytes_of = view(data)
    return address(bytes_of), bytes_of.nbytes


def room_for(length: int) -> bytes:
    """Bytes that nobody knows yet, for C to fill once: as PyBytes_FromStringAndSize is meant to be used."""
    return _new_bytes(None, length)  # type: ignore[no-any-return]


def fill(call: "Callable[..., None]", room: int, function: Any, *arguments: Any) -> bytes:
    """What C puts into `room` bytes, which follow the other arguments. Where it fails, nothing of what was there before, or is half
    done, stays in the exception's frames."""
    out, length = room_for(room), c_size_t()
    try:
        call(function, *arguments, out, room, byref(length))
    except BaseException:
        ctypes.memset(out, 0, room)
        raise
    return out[:length.value]


def wanted(data: Any) -> "tuple[Any, int]":
    """The same as `given`, of what the caller wants filled."""
    bytes_of = view(data)
    if bytes_of.readonly:
        raise TypeError("a read-write bytes-like object is wanted")
    return address(bytes_of), bytes_of.nbytes


class _Place(c_void_p):
    def __init__(self, at: Optional[int], held: Any):
        super().__init__(at)
        self._held = held


class _Buffer(ctypes.Structure):
    """Py_buffer of the stable ABI (PEP 688, Python 3.11; the same before)."""

    _fields_ = [("buf", c_void_p), ("obj", ctypes.py_object), ("len", ctypes.c_ssize_t), ("itemsize", ctypes.c_ssize_t), ("readonly", c_int),
                ("ndim", c_int), ("format", c_char_p), ("shape", c_void_p), ("strides", c_void_p), ("suboffsets", c_void_p), ("internal", c_void_p)]


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = [ctypes.py_object, POINTER(_Buffer), c_int]
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = [POINTER(_Buffer)]
_new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
_new_bytes.restype, _new_bytes.argtypes = ctypes.py_object, [c_char_p, ctypes.c_ssize_t]
