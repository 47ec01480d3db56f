"""What makes the proxy fast is not to be noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway_guard.proxy import ProxyOptions, create_proxy
from gateway_guard.proxy.aiohttp_transport import (
    Origin,
    each_as_text,
    kept_url,
    target_url,
    text_headers,
)
from gateway_guard.proxy.app import default_transport
from tests.servers import serving

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


class Signing(httpx.AsyncBaseTransport):
    """A transport of somebody's own, around the proxy's."""

    def __init__(self) -> None:
        self.inner = default_transport(ProxyOptions())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Add a field to the request and one to the answer."""
        request.headers["x-signed"] = request.headers["x-given"].upper()
        response = await self.inner.handle_async_request(request)
        response.headers["x-length"] = response.headers["content-length"]
        return response

    async def aclose(self) -> None:
        """Close the proxy's."""
        await self.inner.aclose()


async def test_a_transport_may_change_the_fields_as_httpx_s_api_has_it() -> None:
    """What it reads and writes is what is sent."""

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        signed = Request(scope, receive).headers["x-signed"]
        await PlainTextResponse(signed)(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=Signing())) as proxy,
        httpx.AsyncClient() as client,
    ):
        answer = await client.get(proxy, headers={"x-given": "name"})
    assert (answer.text, answer.headers["x-length"]) == ("NAME", "4")


async def test_several_upstreams_may_share_a_transport() -> None:
    """Each is asked under its own name."""

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(Request(scope, receive).headers["host"])(scope, receive, send)

    transport = default_transport(ProxyOptions())
    async with (
        serving(upstream) as first,
        serving(upstream) as second,
        serving(create_proxy(first, transport=transport)) as one,
        serving(create_proxy(second, transport=transport)) as other,
        httpx.AsyncClient() as client,
    ):
        named = [(await client.get(proxy)).text for proxy in (one, other, one)]
    assert [f"http://{name}" for name in named] == [first, second, first]


async def test_an_answer_that_is_there_at_once_is_one_message() -> None:
    """Its end is not sent apart."""
    messages: list[Message] = []

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"whole")(scope, receive, send)

    async with serving(upstream) as address:
        proxy = create_proxy(address)

        async def listening(scope: Scope, receive: Receive, send: Send) -> None:
            async def keep(message: Message) -> None:
                messages.append(message)
                await send(message)

            await proxy(scope, receive, keep)

        async with (
            proxy.router.lifespan_context(proxy),
            serving(listening) as listened,
            httpx.AsyncClient() as client,
        ):
            assert (await client.get(listened)).content == b"whole"
    assert messages[1:] == [{"type": "http.response.body", "body": b"whole", "more_body": False}]


async def test_what_is_added_to_the_application_is_reached() -> None:
    """Routes and handlers of exceptions work as on any application of Starlette."""

    async def metrics(_: Request) -> Response:
        return PlainTextResponse("metrics")

    async def broken(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, 599)

    def upstream(_: httpx.Request) -> httpx.Response:
        message = "broken"
        raise ValueError(message)

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))
    app.add_exception_handler(ValueError, broken)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway"
    ) as client:
        handled = await client.get("/v1/models")
        app.exception_handlers.clear()
        app.add_route("/metrics", metrics)
        routed = await client.get("/metrics")
    assert (handled.status_code, handled.json()) == (599, {"error": "broken"})
    assert routed.text == "metrics"


@given(st.lists(st.tuples(st.binary(max_size=4), st.text("aé\n", max_size=4).map(str.encode))))
def test_fields_become_the_same_text_all_at_once_as_one_by_one(
    fields: list[tuple[bytes, bytes]],
) -> None:
    """Whatever they hold, a line's end included; and what cannot is refused the same."""
    try:
        expected = each_as_text(fields)
    except httpx.LocalProtocolError:
        with pytest.raises(httpx.LocalProtocolError):
            text_headers(fields)
    else:
        assert text_headers(fields) == expected


def test_a_url_is_kept_unless_it_is_a_client_s_own() -> None:
    """Paths are few; a query may hold a key, and nobody calls an endless path twice."""
    kept_url.cache_clear()
    origin = Origin(httpx.URL("http://upstream"), "http", "upstream")
    targets = [b"/v1/models", b"/v1?key=sk-1", b"/" + b"a" * 300, b"/v1/models"]
    assert [str(target_url(origin, target)) for target in targets] == [
        f"http://upstream{target.decode()}" for target in targets
    ]
    assert kept_url.cache_info()[:2] == (1, 1)
