"""Which fields travel on, and which end or begin at the proxy."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.responses import Response

from gateway_guard.proxy import ProxyOptions, create_proxy
from gateway_guard.proxy.headers import framed, request_headers, response_headers
from tests.servers import serving

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    Fields = list[tuple[bytes, bytes]]

PEER = "192.0.2.7"


def forwarded(*fields: tuple[bytes, bytes], trusted: bool = False) -> dict[bytes, list[bytes]]:
    """Return what a request's fields become, values by name."""
    scope = {"client": (PEER, 1), "scheme": "http", "http_version": "1.1", "headers": list(fields)}
    found: dict[bytes, list[bytes]] = {}
    for name, value in request_headers(scope, b"upstream:8000", peer_is_trusted=trusted):
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"keep-alive",
        b"proxy",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"expect",
    ],
)
def test_a_field_of_one_hop_ends_at_the_proxy(name: bytes) -> None:
    """Both ways, save ``Expect``, which only requests carry."""
    kept = (b"authorization", b"Bearer sk-1")
    assert name not in forwarded((name, b"value"), kept)
    assert forwarded((name, b"value"), kept)[b"authorization"] == [b"Bearer sk-1"]
    answer: Fields = [(name.title(), b"value"), (b"X-Request-Id", b"1")]
    if name != b"expect":
        assert response_headers(answer, 200) == [(b"x-request-id", b"1")]


def test_fields_that_connection_names_end_at_the_proxy() -> None:
    """In any case, from several lines, both ways."""
    listed: Fields = [
        (b"connection", b"close, X-One"),
        (b"x-one", b"1"),
        (b"x-two", b"2"),
        (b"connection", b" x-TWO ,"),
        (b"x-three", b"3"),
    ]
    found = forwarded(*listed)
    assert b"x-one" not in found
    assert b"x-two" not in found
    assert found[b"x-three"] == [b"3"]
    assert response_headers(listed, 200) == [(b"x-three", b"3")]


def test_the_upstream_is_addressed_by_its_own_name() -> None:
    """And learns by which name the gateway was asked."""
    found = forwarded((b"host", b"gateway.example"))
    assert found[b"host"] == [b"upstream:8000"]
    assert found[b"x-forwarded-host"] == [b"gateway.example"]


def test_a_length_beside_a_transfer_coding_is_not_forwarded() -> None:
    """RFC 9112, section 6.3: the two together are how requests are smuggled."""
    assert b"content-length" not in forwarded(
        (b"content-length", b"5"), (b"transfer-encoding", b"chunked")
    )


def test_the_socket_s_peer_is_added_to_whatever_the_client_claims() -> None:
    """Who reads from the right meets it first; repeated lines become one."""
    found = forwarded(
        (b"x-forwarded-for", b"203.0.113.1, 203.0.113.2"),
        (b"x-forwarded-for", b"203.0.113.3"),
        (b"via", b"1.0 first"),
    )
    assert found[b"x-forwarded-for"] == [b"203.0.113.1, 203.0.113.2, 203.0.113.3, 192.0.2.7"]
    assert found[b"via"] == [b"1.0 first, 1.1 gateway-guard"]


CLAIMS = (
    (b"forwarded", b"for=203.0.113.1"),
    (b"host", b"gateway.example"),
    (b"x-forwarded-host", b"claimed.example"),
    (b"x-forwarded-port", b"443"),
    (b"x-forwarded-proto", b"https"),
    (b"x-real-ip", b"203.0.113.1"),
)


def test_a_stranger_s_claims_are_replaced_by_what_the_socket_shows() -> None:
    """Scheme and host are the proxy's own, the rest is gone."""
    assert forwarded(*CLAIMS) == {
        b"host": [b"upstream:8000"],
        b"via": [b"1.1 gateway-guard"],
        b"x-forwarded-for": [b"192.0.2.7"],
        b"x-forwarded-host": [b"gateway.example"],
        b"x-forwarded-proto": [b"http"],
    }


def test_a_trusted_proxy_s_claims_are_kept() -> None:
    """It stands nearer to the client and terminates its TLS."""
    found = forwarded(*CLAIMS, trusted=True)
    assert {(name, found[name][0]) for name, _ in CLAIMS if name != b"host"} <= set(CLAIMS)


async def test_who_is_trusted_is_decided_by_the_socket() -> None:
    """The same claim from within the trusted networks, from elsewhere, and from no address."""
    seen = []

    def upstream(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers["x-forwarded-proto"], request.headers.get("x-forwarded-for")))
        return httpx.Response(200)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_: Message) -> None:
        pass

    inside = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"), "unix")
    options = ProxyOptions(trusted_proxies=inside)
    app = create_proxy("http://up", transport=httpx.MockTransport(upstream), options=options)
    for client in (
        ("192.0.2.7", 1),
        ("2001:db8::1", 1),
        ("198.51.100.1", 1),
        ("no address", 0),
        None,
    ):
        headers = [(b"x-forwarded-proto", b"https")]
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b""}
        await app({**scope, "headers": headers, "client": client}, receive, send)
    assert seen == [
        ("https", "192.0.2.7"),
        ("https", "2001:db8::1"),
        ("http", "198.51.100.1"),
        ("http", "no address"),
        ("https", None),
    ]


def test_order_and_repetition_of_fields_are_kept() -> None:
    """In answers as in requests."""
    fields: Fields = [(b"X-B", b"1"), (b"Set-Cookie", b"a"), (b"X-A", b"2"), (b"Set-Cookie", b"b")]
    assert response_headers(fields, 200) == [(name.lower(), value) for name, value in fields]


@pytest.mark.parametrize(("status", "kept"), [(200, True), (204, False), (304, False)])
def test_a_length_without_a_body_is_left_out(status: int, *, kept: bool) -> None:
    """An answer that has no body by its status states none."""
    assert bool(response_headers([(b"Content-Length", b"5")], status)) is kept


@pytest.mark.parametrize(
    ("fields", "method", "length", "added"),
    [
        ([(b"content-length", b"5")], "POST", 5, []),
        ([(b"content-length", b"5")], "POST", None, []),
        ([], "POST", 5, [(b"content-length", b"5")]),
        ([], "GET", 5, [(b"content-length", b"5")]),
        ([], "POST", 0, [(b"content-length", b"0")]),
        ([], "GET", 0, []),
        ([], "POST", None, [(b"transfer-encoding", b"chunked")]),
    ],
)
def test_every_body_is_framed(
    fields: Fields, method: str, length: int | None, added: Fields
) -> None:
    """By its length where it is known, and otherwise in chunks."""
    assert framed(fields, method, length) == [*fields, *added]


async def test_fields_of_one_hop_do_not_cross_real_sockets() -> None:
    """Asked and answered over two servers."""
    seen: dict[str, str] = {}

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update((name.decode(), value.decode()) for name, value in scope["headers"])
        headers = {"connection": "x-hop", "x-hop": "1", "keep-alive": "timeout=5", "x-end": "1"}
        await Response(headers=headers)(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address)) as proxy,
        httpx.AsyncClient() as client,
    ):
        answer = await client.get(
            proxy, headers={"connection": "x-hop", "x-hop": "1", "te": "trailers", "x-end": "1"}
        )
    assert {"connection", "x-hop", "te"} & set(seen) == set()
    assert {"connection", "x-hop", "keep-alive"} & set(answer.headers) == set()
    assert (seen["x-end"], answer.headers["x-end"]) == ("1", "1")
