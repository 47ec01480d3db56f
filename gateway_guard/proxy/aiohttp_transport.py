"""httpx's transport API over aiohttp's connections, made for a proxy.

It answers the same requests as ``httpx.AsyncHTTPTransport`` with a fraction of its work, and keeps
what a proxy must not change: the target's bytes (aiohttp would decode ``%7E``), repeated fields,
the content coding, the boundaries of chunks. It adds no field of its own and keeps no cookie, so
that nothing of one client's exchange can reach another's.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, cast

import aiohttp
import httpx
from yarl import URL

from gateway_guard.proxy.bodies import BufferedBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from gateway_guard.proxy.options import ProxyOptions

# Shorter than the 5 s after which uvicorn, and so most model servers, close an idle connection:
# a request is not sent into one that is being closed.
KEEPALIVE_SECONDS: Final = 4.0
DNS_CACHE_SECONDS: Final = 30
LONGEST_FIELD_BYTES: Final = 65_536
# aiohttp warns of more in one piece, since it would be written without a break.
LARGEST_WRITE_BYTES: Final = 1_048_576
ADDED_BY_AIOHTTP: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")

# The first that fits is taken. Messages stay behind: aiohttp's can carry the URL, and that a key.
ERRORS: Final[tuple[tuple[type[Exception], type[httpx.TransportError]], ...]] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientConnectionError, httpx.ReadError),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Send requests over a pool of aiohttp's connections, opened with the first request.

    A request's extensions may carry ``target`` (the bytes of path and query, sent as they are) and
    ``timeout``, both as ``httpx.AsyncHTTPTransport`` reads them.
    """

    def __init__(self, options: ProxyOptions) -> None:
        self._max_connections = options.max_connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the answer as soon as its head has come.

        Raises:
            httpx.TransportError: what ``httpx.AsyncHTTPTransport`` would raise in the same case.

        """
        session = self._session or self._open(request)
        try:
            response = await session.request(
                request.method,
                target_url(request),
                headers=text_headers(request.headers.raw),
                data=payload(cast("httpx.AsyncByteStream", request.stream)),
                timeout=client_timeout(request.extensions.get("timeout", {})),
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            raise translated(error) from None
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=ResponseBody(response)
        )

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
            skip_auto_headers=ADDED_BY_AIOHTTP,
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


class ResponseBody(httpx.AsyncByteStream):
    """The body of an answer, piece by piece as it comes, the upstream's chunks kept apart."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield pieces that are not empty."""
        content = self._response.content
        try:
            while not content.at_eof():
                piece, _ = await content.readchunk()
                if piece:
                    yield piece
        except aiohttp.ClientError as error:
            raise translated(error) from None

    async def aclose(self) -> None:
        """Close the connection, unless the body was read to its end and it is back in the pool."""
        self._response.close()


def target_url(request: httpx.Request) -> URL:
    """Return the URL with the target's own bytes, which yarl would otherwise requote."""
    url = request.url
    target: bytes = request.extensions.get("target", url.raw_path)
    path, _, query = target.decode("ascii").partition("?")
    return URL.build(
        scheme=url.scheme,
        authority=url.netloc.decode("ascii"),
        path=path,
        query_string=query,
        encoded=True,
    )


def text_headers(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return the fields as the text that aiohttp encodes again, as UTF-8.

    Raises:
        httpx.LocalProtocolError: if a field would not come out of that unchanged.

    """
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


def payload(
    stream: httpx.AsyncByteStream,
) -> bytes | io.BytesIO | AsyncIterator[bytes] | None:
    """Return the body in the form that costs aiohttp least."""
    if not isinstance(stream, BufferedBody):
        return stream.__aiter__()
    if len(stream.content) > LARGEST_WRITE_BYTES:
        return io.BytesIO(stream.content)
    return stream.content or None


def client_timeout(seconds: dict[str, float]) -> aiohttp.ClientTimeout:
    """Translate httpx's time-outs. Waiting for a connection and making it are one for aiohttp."""
    connect, pool = seconds.get("connect"), seconds.get("pool")
    both = None if connect is None or pool is None else connect + pool
    return aiohttp.ClientTimeout(connect=both, sock_connect=connect, sock_read=seconds.get("read"))


def translated(error: aiohttp.ClientError) -> httpx.TransportError:
    """Return httpx's error for one of aiohttp's."""
    kind = next(httpx_kind for kind, httpx_kind in ERRORS if isinstance(error, kind))
    return kind(type(error).__name__)
