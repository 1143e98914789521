"""The proxy passes everything through unless a fault is set, which it then applies to each request."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.campaigns.faults.proxy import DRIP, FATES, LATE, STALLED, STATUSES, Proxy

BODY = b"x" * 300_000
ANSWER = b"y" * 300_000


class Service(ThreadingHTTPServer):
    """Keeps the bodies that arrived complete."""

    got: list[bytes]

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores broken connections, which are intended."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Service)
        if len(body) == len(BODY):
            self.server.got.append(body)
        self.send_response(201)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Prints no requests."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(("127.0.0.1", 0), Handler) as server:
        server.got = []
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def client(proxy: Proxy) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)


def put(connection: http.client.HTTPConnection) -> tuple[int, bytes]:
    connection.request("PUT", "/account/blob", BODY)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_without_a_fault_one_connection_carries_everything(service: Service) -> None:
    with Proxy(service.server_port, 1) as proxy, closing(client(proxy)) as connection:
        assert [put(connection) for _ in range(3)] == [(201, ANSWER)] * 3
    assert service.got == [BODY] * 3


@pytest.mark.parametrize("fate", FATES)
def test_a_fault_affects_one_request_and_not_the_next_connection(
    fate: str, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.campaigns.faults.proxy.FATES", (fate,))
    with Proxy(service.server_port, 1) as proxy:
        proxy.trouble = 1000
        with closing(client(proxy)) as connection:
            if "answer" in fate or "request" in fate or fate == "reset":
                with pytest.raises((ConnectionError, http.client.HTTPException)):
                    put(connection)
            else:
                assert put(connection) == (int(fate[:3]), b"")
            proxy.calm()
            if fate[0].isdigit():
                assert put(connection) == (201, ANSWER)
        assert proxy.suffered == 1
    before = len(service.got) - fate[0].isdigit()
    assert before == (0 if fate in {"reset", "half a request", *STATUSES} else 1)


@pytest.mark.parametrize("fate", [STALLED, LATE])
def test_an_unanswered_request_waits_until_its_client_times_out(fate: str, service: Service) -> None:
    with Proxy(service.server_port, 1) as proxy, closing(client(proxy)) as connection:
        proxy.choose = lambda request: fate if request == "PUT /account/blob" else "reset"
        connection.timeout = 0.5
        with pytest.raises(TimeoutError):
            put(connection)
        assert proxy.suffered == 1
    assert len(service.got) == (fate == LATE)


def test_an_answer_can_arrive_one_byte_at_a_time(service: Service) -> None:
    with Proxy(service.server_port, 1) as proxy, closing(client(proxy)) as connection:
        proxy.choose = lambda _: DRIP
        proxy.pace = 0.02
        connection.request("PUT", "/account/blob", BODY)
        assert connection.sock
        assert connection.sock.recv(100) == b"H"
        assert connection.sock.recv(100) == b"T"


@pytest.mark.parametrize("status", [409, 412])
def test_a_refusal_is_not_mistaken_for_an_existing_blob(status: int, service: Service) -> None:
    with Proxy(service.server_port, 1) as proxy, closing(client(proxy)) as connection:
        proxy.choose = lambda _: str(status)
        connection.request("PUT", "/account/blob", BODY)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["x-ms-error-code"] != "BlobAlreadyExists") == (status, True)
    assert service.got == []


def test_cutting_closes_every_connection(service: Service) -> None:
    with Proxy(service.server_port, 1) as proxy, closing(client(proxy)) as connection:
        put(connection)
        assert proxy.cut() == 1
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            put(connection)
