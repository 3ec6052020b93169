# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A proxy that tunnels (CONNECT), counts, and refuses where it is told to. It sees of a request what a real one does: where to."""

import base64
import socket
import ssl
import threading
import time

from listening import serve_each


def head_of(connection):
    data = b""
    while b"\r\n\r\n" not in data and len(data) < 65536:
        piece = connection.recv(4096)
        if not piece:
            break
        data += piece
    return data.decode("latin-1")


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Tunnel:
    """with Tunnel(port) as proxy: all that is asked for leads to this port of 127.0.0.1. `user` ("name:password") must be shown then;
    `manners(connection)` takes the place of an answer; with a certificate and its key (`pair`) it is spoken to by TLS. proxy.heads: what was
    said to it; proxy.targets: where to, of what was let through."""

    def __init__(self, port, user=None, manners=None, pair=None):
        self.port, self.manners, self.heads, self.targets = port, manners, [], []
        self.word = f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}" if user else None
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.context = None
        if pair:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*pair)
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.url = f"{'https' if pair else 'http'}://{self.address}"

    def treat(self, connection):
        if self.context:
            try:
                connection = self.context.wrap_socket(connection, server_side=True)
            except OSError:
                return
        with connection:
            head = head_of(connection)
            self.heads.append(head)
            if self.manners:
                self.manners(connection)
            elif not head.startswith("CONNECT "):
                connection.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            elif self.word and self.word not in head.split("\r\n"):
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
                                   b"Content-Length: 0\r\n\r\n")
            else:
                self.carry(connection, head.split()[1])

    def carry(self, connection, target):
        self.targets.append(target)
        with socket.create_connection(("127.0.0.1", self.port)) as server:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=copy, args=(server, connection), daemon=True)
            back.start()
            copy(connection, server)
            back.join()

    def __enter__(self):
        threading.Thread(target=serve_each, args=(self.socket, self.treat), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.socket.close()


def answers(status, reason):
    def answer(connection):
        connection.sendall(f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\n\r\n".encode())
    return answer


def closes(_):
    pass


def hangs(connection):
    time.sleep(60)
    connection.sendall(b"too late")


def garbage(connection):
    connection.sendall(b"\x00\xff\x16\x03garbage" * 100)
