"""An HTTP proxy in front of a store that fails on purpose, and counts every fault by its kind.

`before`: answers 503, the store was not asked. `after`: the store did it, the answer is 503. `dropped`: the store did
it, the connection is cut without an answer. `slow`: the answer comes late. `short`: half of a body, then the end.

Of creates that must not overwrite (PUT with `If-None-Match`) alone: `conflict`: 409 `ConditionalRequestConflict` as S3
answers when requests meet, the store was not asked. `landed`: the store did it, and refuses the same once more, as when
a client's first try landed and its answer was lost. `late`: the store did it, the answer comes after the client gave up.
"""

import collections
import http.client
import http.server
import random
import select
import socket
import threading
import time


class Proxy:
    """Runs in this process; `faults` counts what was done to requests."""

    KINDS = ("before", "after", "dropped", "slow", "short")
    OF_CREATES = ("conflict", "landed", "late")
    #: S3's words.
    CONFLICT = (
        b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>ConditionalRequestConflict</Code>'
        b"<Message>The conditional request cannot succeed due to a conflicting operation against this resource.</Message></Error>"
    )
    #: Longest wait for a client to give up.
    PATIENCE = 60

    def __init__(self, upstream, seed, rate, rate_of_creates=0.0):
        self.upstream, self.rate, self.rate_of_creates = upstream, rate, rate_of_creates
        #: Whether the store is made one that overwrites: conditions of creates are left out, and counted.
        self.careless = False
        #: Only requests with this in their path meet a fault.
        self.only = ""
        self.chance, self.lock = random.Random(seed), threading.Lock()
        self.faults, self.requests = collections.Counter(), 0
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def pass_on(self):
                proxy.handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def draw(self, is_create):
        with self.lock:
            self.requests += 1
            if is_create and self.chance.random() < self.rate_of_creates:
                return self.chance.choice(self.OF_CREATES)
            return self.chance.choice(self.KINDS) if self.chance.random() < self.rate else None

    def met(self, kind):
        with self.lock:
            self.faults[kind] += 1

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        is_create = request.command == "PUT" and "If-None-Match" in request.headers
        kind = self.draw(is_create) if self.only in request.path else None
        if kind == "before":
            self.met(kind)
            return self.answer(request, 503, [], b"injected")
        if kind == "conflict":
            self.met(kind)
            return self.answer(request, 409, [("Content-Type", "application/xml")], self.CONFLICT)
        status, headers, content = self.ask(request, body)
        if kind == "landed" and status == 200:
            status, headers, content = self.ask(request, body)
            assert status == 412, f"the store did not refuse the second create of {request.path}: {status}"
            self.met(kind)
        if kind == "late":
            # Readable without a byte: the other side has closed.
            gone, _, _ = select.select([request.connection], [], [], self.PATIENCE)
            request.close_connection = True
            if gone and request.connection.recv(1, socket.MSG_PEEK) == b"":
                self.met(kind)
            return None
        if kind == "after":
            self.met(kind)
            return self.answer(request, 503, [], b"injected")
        if kind == "dropped":
            self.met(kind)
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return None
        if kind == "slow":
            self.met(kind)
            time.sleep(1)
        half = kind == "short" and request.command == "GET" and len(content) > 1
        if half:
            self.met(kind)
        self.answer(request, status, headers, content, half)
        return None

    def ask(self, request, body):
        """What the store says."""
        host, port = self.upstream.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            left_out = {"connection", "transfer-encoding"} | ({"if-none-match"} if self.careless else set())
            headers = {name: value for name, value in request.headers.items() if name.lower() not in left_out}
            if self.careless and "If-None-Match" in request.headers:
                self.met("careless")
            connection.request(request.command, request.path, body=body or None, headers=headers)
            reply = connection.getresponse()
            return reply.status, reply.getheaders(), reply.read()
        finally:
            connection.close()

    @staticmethod
    def answer(request, status, headers, content, half=False):
        try:
            request.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    request.send_header(name, value)
            length = dict((name.lower(), value) for name, value in headers).get("content-length", len(content))
            request.send_header("Content-Length", str(length if request.command == "HEAD" else len(content)))
            request.end_headers()
            if request.command != "HEAD":
                request.wfile.write(content[: len(content) // 2] if half else content)
            if half:
                request.close_connection = True
                request.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            request.close_connection = True
