"""httpx's transport API over aiohttp's connections, made for a proxy.

It answers the same requests as ``httpx.AsyncHTTPTransport`` with a fraction of its work, and keeps
what a proxy must not change: the target's bytes (aiohttp would decode ``%7E``), repeated fields,
the content coding, the boundaries of chunks. It adds no field of its own and keeps no cookie, so
that nothing of one client's exchange can reach another's.
"""

from __future__ import annotations

import io
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import aiohttp
import httpx
from yarl import URL

from gateway_guard.proxy.bodies import AnswerBody, BufferedBody
from gateway_guard.proxy.messages import ReceivedResponse, fields_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aiohttp.connector import Connection

    from gateway_guard.proxy.options import ProxyOptions

# Shorter than the 5 s after which uvicorn, and so most model servers, close an idle connection:
# a request is not sent into one that is being closed.
KEEPALIVE_SECONDS: Final = 4.0
DNS_CACHE_SECONDS: Final = 30
LONGEST_FIELD_BYTES: Final = 65_536
# aiohttp warns of more in one piece, since it would be written without a break.
LARGEST_WRITE_BYTES: Final = 1_048_576
ADDED_BY_AIOHTTP: Final = frozenset({"user-agent", "accept", "accept-encoding", "content-type"})
EVENT_STREAM: Final = "text/event-stream"
URLS_KEPT: Final = 256
LONGEST_KEPT_BYTES: Final = 200
TIMEOUTS_KEPT: Final = 16

# The first that fits is taken. Messages stay behind: aiohttp's can carry the URL, and that a key.
ERRORS: Final[tuple[tuple[type[Exception], type[httpx.TransportError]], ...]] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientConnectionError, httpx.ReadError),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
)


class Origin(NamedTuple):
    """Where requests go: a URL of httpx, and the parts of it that say where."""

    url: httpx.URL
    scheme: str
    authority: str


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Send requests over a pool of aiohttp's connections, opened with the first request.

    A request's extensions may carry ``target`` (the bytes of path and query, sent as they are) and
    ``timeout``, both as ``httpx.AsyncHTTPTransport`` reads them.
    """

    def __init__(self, options: ProxyOptions) -> None:
        self._max_connections = options.max_connections
        self._session: aiohttp.ClientSession | None = None
        self._origin = Origin(httpx.URL(), "", "")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the answer as soon as its head has come.

        Raises:
            httpx.TransportError: what ``httpx.AsyncHTTPTransport`` would raise in the same case.

        """
        session = self._session or self._open(request)
        headers = text_headers(fields_of(request))
        seconds = request.extensions.get("timeout", {})
        try:
            response = await session.request(
                request.method,
                self._url(request),
                headers=headers,
                skip_auto_headers=lacking(headers),
                data=payload(cast("httpx.AsyncByteStream", request.stream)),
                timeout=client_timeout(*map(seconds.get, ("connect", "pool", "read"))),
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            raise translated(error) from None
        if self._origin.scheme == "http" and response.headers.get("content-type", "").startswith(
            EVENT_STREAM
        ):
            use_no_more(response.connection)
        return ReceivedResponse(response.status, response.raw_headers, ResponseBody(response))

    def _url(self, request: httpx.Request) -> URL:
        """Return the URL with the target's own bytes, which yarl would otherwise requote."""
        url, origin = request.url, self._origin
        if url is not origin.url:
            # A proxy asks for the same object every time, and to take it apart takes its time.
            origin = self._origin = Origin(url, url.scheme, url.netloc.decode("ascii"))
        return target_url(origin, request.extensions.get("target", url.raw_path))

    def _open(self, request: httpx.Request) -> aiohttp.ClientSession:
        """Open the pool, with httpx's idea of which certificates are trusted."""
        secure = request.url.scheme == "https"
        connector = aiohttp.TCPConnector(
            limit=self._max_connections,
            keepalive_timeout=KEEPALIVE_SECONDS,
            ttl_dns_cache=DNS_CACHE_SECONDS,
            ssl=httpx.create_ssl_context() if secure else True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=LONGEST_FIELD_BYTES,
            max_field_size=LONGEST_FIELD_BYTES,
        )
        return self._session

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class ResponseBody(AnswerBody):
    """The body of an answer, piece by piece as it comes, the upstream's chunks kept apart."""

    __slots__ = ("_content", "_response")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content

    @property
    def is_over(self) -> bool:
        """Whether the body was read to its end."""
        return self._content.at_eof()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return itself: a body that streams can be read once."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece that is not empty."""
        content = self._content
        try:
            while not content.at_eof():
                piece, _ = await content.readchunk()
                if piece:
                    return piece
        except aiohttp.ClientError as error:
            raise translated(error) from None
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the connection, unless the body was read to its end and it is back in the pool."""
        self._response.close()


def use_no_more(connection: Connection | None) -> None:
    """Have a connection closed after this answer: llama.cpp's server ends each stream so, unsaid.

    A request that is sent into the closing is lost, and a proxy must not send it again. A stream
    takes seconds and a new connection, without TLS, a fraction of a millisecond.
    """
    if connection is not None and connection.protocol is not None:
        connection.protocol.force_close()


def target_url(origin: Origin, target: bytes) -> URL:
    """Return the URL of a target, a path with or without a query."""
    if b"?" in target or len(target) > LONGEST_KEPT_BYTES:
        return build_url(origin.scheme, origin.authority, target)
    return kept_url(origin.scheme, origin.authority, target)


def build_url(scheme: str, authority: str, target: bytes) -> URL:
    """Put a URL together."""
    path, _, query = target.decode("ascii").partition("?")
    return URL.build(
        scheme=scheme, authority=authority, path=path, query_string=query, encoded=True
    )


# Clients call few paths, again and again. A query is a client's own, and there may be a key in it.
kept_url = lru_cache(maxsize=URLS_KEPT)(build_url)


def text_headers(raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return the fields as the text that aiohttp encodes again, as UTF-8.

    Raises:
        httpx.LocalProtocolError: if a field would not come out of that unchanged.

    """
    # All at once is faster than one by one. The break cannot be within a field that arrived.
    joined = b"\n".join(chain.from_iterable(raw))
    if joined.isascii() and b"transfer-encoding" not in joined:
        parts = joined.decode("ascii").split("\n")
        if len(parts) == len(raw) * 2:
            return list(zip(parts[::2], parts[1::2], strict=True))
    return each_as_text(raw)


def each_as_text(raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return the fields as text, save the transfer coding."""
    try:
        # aiohttp frames the body itself: it chunks exactly what comes without a length.
        return [
            (name.decode("ascii"), value.decode())
            for name, value in raw
            if name != b"transfer-encoding"
        ]
    except UnicodeDecodeError:
        message = "a field is not UTF-8"
        raise httpx.LocalProtocolError(message) from None


def lacking(headers: list[tuple[str, str]]) -> frozenset[str] | None:
    """Return the fields that aiohttp would add; to be told costs it more than to see them there."""
    return ADDED_BY_AIOHTTP.difference([name for name, _ in headers]) or None


def payload(
    stream: httpx.AsyncByteStream,
) -> aiohttp.BytesPayload | io.BytesIO | AsyncIterator[bytes] | None:
    """Return the body in the form that costs aiohttp least."""
    if not isinstance(stream, BufferedBody):
        return stream.__aiter__()
    if len(stream.content) > LARGEST_WRITE_BYTES:
        return io.BytesIO(stream.content)
    return aiohttp.BytesPayload(stream.content) if stream.content else None


@lru_cache(maxsize=TIMEOUTS_KEPT)
def client_timeout(
    connect: float | None, pool: float | None, read: float | None
) -> aiohttp.ClientTimeout:
    """Translate httpx's time-outs. Waiting for a connection and making it are one for aiohttp."""
    both = None if connect is None or pool is None else connect + pool
    return aiohttp.ClientTimeout(connect=both, sock_connect=connect, sock_read=read)


def translated(error: aiohttp.ClientError) -> httpx.TransportError:
    """Return httpx's error for one of aiohttp's."""
    kind = next(httpx_kind for kind, httpx_kind in ERRORS if isinstance(error, kind))
    return kind(type(error).__name__)
