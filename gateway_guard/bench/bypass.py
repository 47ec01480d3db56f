"""Whether any token is spent unseen: every way to ask a guarded server, and what the guard saw."""

from __future__ import annotations

import json
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec

from gateway_guard.bench.bypass_answers import TEXT
from gateway_guard.bench.bypass_litellm import is_installed
from gateway_guard.bench.bypass_model import LEDGER, Spent
from gateway_guard.bench.bypass_servers import serve_fastapi, serve_litellm, serve_model
from gateway_guard.bench.bypass_ways import FASTAPI, LITELLM, Way, Ways, paths_of
from gateway_guard.bench.bypass_witness import SIDE_DOOR, Seen
from gateway_guard.bench.children import child
from gateway_guard.bench.contestants import check
from gateway_guard.bench.report import Bypass, Served, Turned
from gateway_guard.bench.server import HOST
from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gateway_guard.bench.bypass_encodings import Sent

_PATIENCE_SECONDS: Final = 120.0


class Server(NamedTuple):
    """A guarded server: where it listens, and where the ledger of its model is."""

    mount: str
    port: int
    ledger_port: int


def measure_bypass(choose: Callable[[Iterable[Way]], Iterable[Way]] = list) -> Bypass:
    """Try every way at every server, or those of them that ``choose`` returns.

    Raises:
        ConfigurationError: if LiteLLM is not installed.
        MeasurementError: if a guard has failed.

    """
    check_installed()
    with ExitStack() as stack:
        model = stack.enter_context(child(serve_model))
        model_port = cast("int", model.heard())
        litellm = stack.enter_context(child(serve_litellm, f"http://{HOST}:{model_port}"))
        fastapi = stack.enter_context(child(serve_fastapi))
        # LiteLLM takes half a minute to start.
        fastapi_port = cast("int", fastapi.heard())
        second = tried(Server(FASTAPI, fastapi_port, fastapi_port), choose)
        first = tried(Server(LITELLM, cast("int", litellm.heard()), model_port), choose)
    return Bypass([*first.ways, *second.ways], [*first.rejected, *second.rejected])


def check_installed() -> None:
    """Make sure that there is something to mount the guard in.

    Raises:
        ConfigurationError: if LiteLLM is not installed.

    """
    if not is_installed():
        message = "bypass is tried at LiteLLM's proxy, which is not installed"
        raise ConfigurationError(
            message,
            hint="pip install 'gateway-guard[bench,mounts]', or name other parts with --only",
        )


def tried(server: Server, choose: Callable[[Iterable[Way]], Iterable[Way]] = list) -> Bypass:
    """Try the ways of one server, one after the other."""
    routes = look(server)["routes"]
    ledger(server)
    found = Bypass(ways=[], rejected=[])
    for way in choose(Ways(server.mount).all(paths_of(server.mount, routes))):
        status = asked(server, way)
        seen = msgspec.convert(look(server)["seen"], Seen)
        check(seen.failures)
        spent = ledger(server)
        names = (way.mount, way.path, way.encoding, way.credential)
        if spent:
            found.ways.append(Served(*names, unseen_tokens=unseen(spent, seen)))
        else:
            found.rejected.append(Turned(*names, status=status))
    return found


def unseen(ledger: list[Spent], seen: Seen) -> int:
    """Return how many of the tokens that were spent the guard has not seen.

    Those of exchanges that it does not count for the key, all of them; of the others those of texts
    that it has not read, and those of answers that it has not seen.
    """
    answers = sum(spent.answers for spent in ledger)
    prompt = sum(spent.prompt for spent in ledger)
    completion = sum(spent.completion for spent in ledger)
    missed = (prompt + completion) * max(0, answers - seen.counted) // answers
    if missed:
        return missed
    read = _squeezed(" ".join(seen.texts))
    texts = {text for spent in ledger for text in spent.texts}
    is_read = all(_squeezed(text) in read for text in texts)
    is_read = is_read and seen.chars >= sum(map(len, texts))
    is_seen = seen.output_tokens >= completion or seen.output_chars >= answers * len(TEXT)
    return prompt * (not is_read) + completion * (not is_seen)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def asked(server: Server, way: Way) -> int:
    """Send one request, take the answer to its end and return its status, 0 where there is none."""
    connection = HTTPConnection(HOST, server.port, timeout=_PATIENCE_SECONDS)
    try:
        connection.putrequest("POST", way.target, skip_accept_encoding=True)
        _send(connection, way.sent)
        answer = connection.getresponse()
        answer.read()
    except OSError:
        return 0
    else:
        return answer.status
    finally:
        connection.close()


def _send(connection: HTTPConnection, sent: Sent) -> None:
    for name, value in sent.headers:
        connection.putheader(name, value)
    if not sent.pieces:
        connection.putheader("content-length", str(len(sent.body)))
        connection.endheaders(sent.body)
        return
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in _pieces(sent))
    connection.send(chunks + b"0\r\n\r\n")


def _pieces(sent: Sent) -> Iterator[bytes]:
    size = max(1, len(sent.body) // sent.pieces)
    return (sent.body[at : at + size] for at in range(0, len(sent.body), size))


def look(server: Server) -> dict[str, Any]:
    """Return what a server's guard has seen since the last look, and the server's routes."""
    told: dict[str, Any] = json.loads(_told(server.port, SIDE_DOOR))
    return told


def ledger(server: Server) -> list[Spent]:
    """Return what a server's model has spent since the last time."""
    return [Spent(**spent) for spent in json.loads(_told(server.ledger_port, LEDGER))]


def _told(port: int, path: str) -> bytes:
    connection = HTTPConnection(HOST, port, timeout=_PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()
