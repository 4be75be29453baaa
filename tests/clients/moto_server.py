"""moto's S3 server, one request at a time: `moto_server.py PORT`, on loopback.

By itself moto looks whether a key is there and then writes it, two steps of one request; on a busy machine two creates
of one key have succeeded, and the engine refused the store, as it should. Nothing else of it is changed.
"""

import sys
import threading

from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

moto = DomainDispatcherApplication(create_backend_app)
turn = threading.Lock()


def one_at_a_time(environ, start_response):
    with turn:
        return list(moto(environ, start_response))


run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True, request_handler=MotoRequestHandler)
