# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Servers that are no servers: what a broken network, a strange box on the way, or an attacker may be like."""

import socket
import threading
import time

from listening import serve_each


def silent(connection):
    connection.recv(1)
    time.sleep(90)


def closes(connection):
    connection.recv(65536)


def garbage(connection):
    connection.recv(65536)
    connection.sendall(b"\x00\xff\x16\x03garbage" * 100)


def endless_head(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")


def endless_body(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n\r\n")
    while True:
        connection.sendall(b"{" * 4096)


def slow_head(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: y\r\n")
        time.sleep(0.1)


def never_ready(connection):
    connection.recv(65536)
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


def promises(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n{\"KeyId\":")
    time.sleep(90)


def bad_chunks(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\nzz\r\n")


def redirects(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/stolen\r\nContent-Length: 0\r\n\r\n")


class Rude:
    """with Rude(silent) as server: server.url"""

    def __init__(self, manners, scheme="http"):
        self.manners, self.open = manners, []
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def treat(self, connection):
        self.open.append(connection)
        try:
            self.manners(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def __enter__(self):
        threading.Thread(target=serve_each, args=(self.socket, self.treat), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.socket.close()
        for connection in self.open:
            connection.close()
