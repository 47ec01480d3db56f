"""Who sends a request: one id for every spelling of a key, and nothing believed from strangers."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.principal import (
    Principal,
    PrincipalReader,
    SubjectIds,
    SubjectKind,
    key_id_of,
    subject_id,
)
from gateway_guard.principal.addresses import parse_address
from gateway_guard.settings import deployment_secret, load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

SECRET = b"s" * 32
PROXIED: dict[str, Any] = {"trusted_proxies": "10.0.0.0/8,fd00::/8", "organisation_header": "x-org"}

# Names that mean something to the reader, in the hands of somebody hostile.
NAMES = [
    *[b"authorization", b"x-api-key", b"api-key", b"?key", b"user-agent", b"x-org", b"", b"\xff"],
    *[b"x-forwarded-for", b"forwarded", b"x-stainless-os", b"Authorization"],
    *[b"sec-websocket-protocol", b"x-litellm-api-key"],
]


def read(
    *headers: tuple[str, str],
    query: str = "",
    client: tuple[str, int] | None = ("203.0.113.7", 5000),
    **settings: object,
) -> Principal:
    """Read one request under some settings."""
    lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    scope = {"headers": lines, "query_string": query.encode("latin-1"), "client": client}
    return PrincipalReader(load_settings(**settings), SECRET).read(scope)


def key(value: bytes) -> bytes:
    """Return the id of a raw key."""
    return subject_id(SubjectKind.KEY, value, secret=SECRET)


def network(address: str) -> bytes:
    """Return the id of the network that an address belongs to."""
    return read(client=(address, 1)).network


def behind(*headers: tuple[str, str], peer: str = "10.0.0.1") -> bytes:
    """Return the network of a client behind trusted proxies."""
    return read(*headers, client=(peer, 1), **PROXIED).network


def test_ids_begin_with_their_kind() -> None:
    """Equal bytes of different kinds are different subjects."""
    ids = SubjectIds(SECRET)
    made = {kind: ids.make(kind, b"same") for kind in SubjectKind}
    assert all(made[kind][0] == kind for kind in SubjectKind)
    assert {len(value) for value in made.values()} == {16}
    assert len({value[1:] for value in made.values()}) == len(SubjectKind)


@given(st.lists(st.binary(max_size=12), max_size=4), st.lists(st.binary(max_size=12), max_size=4))
def test_other_parts_give_another_id(first: list[bytes], second: list[bytes]) -> None:
    """Where the parts are cut matters, too, so none can be made to run into the next."""
    ids = [subject_id(SubjectKind.END_USER, *parts, secret=SECRET) for parts in (first, second)]
    assert (ids[0] == ids[1]) == (first == second)


def test_another_secret_gives_other_ids() -> None:
    """Ids of two deployments cannot be compared."""
    ids = {subject_id(SubjectKind.KEY, b"k", secret=secret) for secret in (b"a" * 32, b"b" * 32)}
    assert len(ids) == 2


@pytest.mark.parametrize(
    "value",
    [
        *["Bearer sk-1", "bearer sk-1", "BEARER   sk-1", " Bearer sk-1 ", "sk-1", "Basic sk-1"],
        *["Bearer Bearer sk-1", "Bearer sBearer k-1", "basic  sk-1", "Bearer sk-1\t"],
        *["Bearer\tsk-1", "Bearer\xa0sk-1", "Bearer \xa0sk-1\x85", "\x1fsk-1\xa0", "Basic\tsk-1"],
        "AWS4-HMAC-SHA256 Credential=Bearer sk-1/20260101/x/bedrock/aws4_request, Signature=1",
        "AWS4-HMAC-SHA256 Credential=x/1, Credential=Bearer  sk-1/1, SignedHeaders=a, Signature=2",
        "AWS4-HMAC-SHA256 Credential=sk-1,Signature=3",
    ],
)
def test_a_key_has_one_id_however_it_is_spelled(value: str) -> None:
    """Gateways take schemes off in their own ways; a verdict must not be left behind like that."""
    assert read(("authorization", value)).key == key(b"sk-1")
    assert read(("x-api-key", value)).key == key(b"sk-1")


@pytest.mark.parametrize(
    "value",
    ["Basic dXNlcjpwYXNz", "basic dXNl-cjpwYXNz", " Basic  dXNlcjpwYXNz==", "BASIC dXNl.cjpw.YXNz"],
)
def test_a_user_has_one_id_however_his_password_is_written(value: str) -> None:
    """Decoders pass over what is no base64, so that there is no end of spellings."""
    assert read(("authorization", value)).key == key(b"dXNlcjpwYXNz")


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        ("AWS4-HMAC-SHA256 Signature=1", "AWS4-HMAC-SHA256 Signature=1"),
        ("Digest a  b", "Digest a b"),
    ],
)
def test_other_schemes_are_part_of_the_key(value: str, raw: str) -> None:
    """Nobody says what would be."""
    assert read(("authorization", value)).key == key(raw.encode())


@pytest.mark.parametrize("source", ["x-api-key", "api-key", "x-goog-api-key"])
def test_a_key_has_one_id_wherever_it_stands(source: str) -> None:
    """Header or query: the same key is the same subject, and not doubled."""
    found = read((source, "sk-1"), ("authorization", "Bearer sk-1"), query="key=sk-1")
    assert (found.key, found.doubled, found.anonymous) == (key(b"sk-1"), None, False)
    assert read((source, "sk-1")).key == found.key
    assert found.key_id == found.key.hex()


@pytest.mark.parametrize(
    "query",
    ["key=sk-1", "alt=sse&key=sk-1", "key=%73k-1&x", "%6bey=sk-1", "k%65%79=sk-1", "key=&key=sk-1"],
)
def test_a_key_in_the_query_is_found(query: str) -> None:
    """Percent-encoding hides neither name nor value."""
    assert read(query=query).key == key(b"sk-1")


@pytest.mark.parametrize("query", ["", "key", "key=", "monkey=sk-1", "keys=sk-1", "?key=sk-1"])
def test_other_parameters_are_no_key(query: str) -> None:
    """Only the whole name counts."""
    assert read(query=query).anonymous


def test_the_order_of_sources_decides_which_key_comes_first() -> None:
    """The guard reads first what the upstream honours."""
    headers = ("x-api-key", "b"), ("authorization", "Bearer a")
    found = read(*headers)
    assert (found.key, found.doubled) == (key(b"a"), key(b"b"))
    found = read(*headers, query="key=c", key_sources="?key,x-api-key")
    assert (found.key, found.doubled) == (key(b"c"), key(b"b"))


LITELLM = [
    "x-litellm-api-key",
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
]


@pytest.mark.parametrize("at", range(len(LITELLM)))
def test_before_litellm_its_own_order_counts(at: int) -> None:
    """Whichever header comes first on the wire; the query comes last, then a websocket's offer."""
    headers = [(name, f"Bearer {name}") for name in reversed(LITELLM[at:])]
    offer = ("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-0")
    found = read(*headers, offer, query="key=sk-1", key_sources="litellm")
    assert found.key == key(LITELLM[at].encode())
    assert {key(b"sk-0"), key(b"sk-1")} <= {found.doubled, *found.further}
    assert read(offer, query="key=sk-1", key_sources="litellm").key == key(b"sk-1")


def test_a_header_that_the_operator_has_named_comes_before_a_preset() -> None:
    """LiteLLM's own can be renamed."""
    headers = ("x-litellm-api-key", "b"), ("x-mine", "a")
    assert read(*headers, key_sources="x-mine,litellm").key == key(b"a")


@pytest.mark.parametrize(
    "offered",
    [
        "openai-insecure-api-key.sk-1",
        "realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1",
        "realtime,\topenai-insecure-api-key.sk-1 ,openai-insecure-api-key.sk-2",
    ],
)
def test_a_key_among_the_subprotocols_of_a_websocket_is_found(offered: str) -> None:
    """Browsers can send it nowhere else."""
    found = read(("sec-websocket-protocol", offered))
    assert (found.key, found.doubled) == (key(b"sk-1"), None)
    lines = ("sec-websocket-protocol", "realtime"), ("sec-websocket-protocol", offered)
    assert read(*lines).key == key(b"sk-1")
    assert read(("authorization", "Bearer sk-1"), lines[1]).doubled is None


@pytest.mark.parametrize(
    "offered", ["realtime", "", "openai-insecure-api-key.", "x-openai-insecure-api-key.a"]
)
def test_other_subprotocols_are_no_key(offered: str) -> None:
    """Everybody offers them."""
    assert read(("sec-websocket-protocol", offered)).anonymous


def test_every_further_credential_is_seen() -> None:
    """Junk in front of a key does not hide it, whichever line the upstream takes."""
    found = read(
        ("authorization", "Bearer junk-1"),
        ("authorization", "Bearer junk-2"),
        ("authorization", "Bearer junk-3"),
        ("x-api-key", "junk-1"),
        ("api-key", "sk-1"),
        query="key=junk-4&key=junk-5&key=junk-6",
    )
    seen = [found.key, found.doubled, *found.further]
    assert seen == [key(b"junk-1"), key(b"sk-1"), key(b"junk-4"), key(b"junk-3"), key(b"junk-6")]


@pytest.mark.parametrize("value", ["", " ", "Bearer", "Bearer ", "bearer  ", "Basic"])
def test_without_a_credential_the_network_answers(value: str) -> None:
    """Everybody of one network is one anonymous subject, and none of them a key."""
    found = read(("authorization", value))
    assert found.anonymous
    assert found.key == read(client=("203.0.113.99", 1)).key
    assert found.key != read(client=("203.0.114.7", 1)).key
    assert found.key[0] == SubjectKind.KEY
    assert found.doubled is None


def test_nobody_can_pass_for_an_anonymous_network() -> None:
    """No key has the id of a network's anonymous callers."""
    nobody = read()
    for raw in (b"anonymous", b"anonymous" + nobody.network, nobody.network):
        assert key(raw) != nobody.key


def test_where_any_key_is_accepted_keys_do_not_count() -> None:
    """Under ``KEYS=ignore`` a fresh key at each request changes nothing."""
    found = read(("authorization", "Bearer a"), ("x-api-key", "b"), query="key=c", keys="ignore")
    assert found == read(keys="ignore")
    assert found.anonymous


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.1", "203.0.113.254", True),
        ("203.0.113.1", "203.0.112.1", False),
        ("2001:db8:1:1::1", "2001:db8:1:ffff::2", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("::ffff:203.0.113.1", "203.0.113.2", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("testclient", "nonsense", True),
        ("testclient", "203.0.113.1", False),
    ],
)
def test_networks_are_prefixes(one: str, other: str, *, same: bool) -> None:
    """/24 and /48; what is no address is all one network."""
    assert (network(one) == network(other)) is same


def test_a_unix_socket_has_no_address() -> None:
    """It is one network, believed only if the operator says so."""
    headers = ("x-forwarded-for", "198.51.100.9"), ("x-org", "Example")
    found = read(*headers, client=None, **PROXIED)
    assert (found.network, found.organisation) == (network("testclient"), None)
    trusted = {**PROXIED, "trusted_proxies": "unix"}
    found = read(*headers, client=None, **trusted)
    assert (found.network, found.organisation_name) == (network("198.51.100.9"), "Example")


def test_a_strangers_forwarded_headers_do_not_count() -> None:
    """Nobody chooses his own network, or an organisation."""
    headers = ("x-forwarded-for", "198.51.100.9"), ("forwarded", "for=198.51.100.9"), ("x-org", "E")
    found = read(*headers, **PROXIED)
    assert found == read(**PROXIED)
    assert found.organisation is None


@pytest.mark.parametrize(
    "chain",
    [
        "198.51.100.9",
        "1.2.3.4, 198.51.100.9",
        "1.2.3.4,198.51.100.9, 10.1.1.1 , fd00::5",
        "junk, 198.51.100.9:4711, [fd00::5]:80",
        "::ffff:198.51.100.9, ::ffff:10.1.1.1",
        '"198.51.100.9"',
        "9" * 5_000 + ", 198.51.100.9",
        "1.2.3.4, 198.51.100.9, 10.1.1.1:443, [FD00::0005]",
        "198.51.100.9:99999",
        "[::ffff:198.51.100.9]:80,\tfd00::5%eth0",
        "unknown, 198.51.100.9, ::FFFF:10.1.1.1",
        ", 198.51.100.9",
    ],
)
def test_the_chain_is_walked_from_the_right(chain: str) -> None:
    """The first hop that is no trusted proxy is the client; what stands left of it is hearsay."""
    assert behind(("x-forwarded-for", chain)) == network("198.51.100.9")


def test_repeated_lines_of_the_chain_are_one() -> None:
    """A proxy may add a line instead of an entry."""
    lines = ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "198.51.100.9, 10.1.1.1")
    assert behind(*lines) == network("198.51.100.9")


@pytest.mark.parametrize(
    ("chain", "last_known"),
    [
        ("198.51.100.9, unknown", "10.0.0.1"),
        ("198.51.100.9, , 10.2.2.2", "10.2.2.2"),
        ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("198.51.100.9, 010.2.2.2", "10.0.0.1"),
        ("198.51.100.9, 0x0a020202", "10.0.0.1"),
        ("198.51.100.9, 167903746", "10.0.0.1"),
        ("198.51.100.9, 10.2.2.2.", "10.0.0.1"),
        ("198.51.100.9, 10.2.2.2\x00", "10.0.0.1"),
        ("198.51.100.9, \xb2.2.2.2", "10.0.0.1"),
        ("198.51.100.9, 10.2.2.2/8", "10.0.0.1"),
        ("198.51.100.9" + "," * 2_000, "10.0.0.1"),
    ],
)
def test_a_chain_that_breaks_off_ends_at_the_last_known_hop(chain: str, last_known: str) -> None:
    """Nothing is guessed over a gap."""
    assert behind(("x-forwarded-for", chain)) == network(last_known)


@pytest.mark.parametrize(
    "value",
    [
        "for=198.51.100.9",
        'proto=https; For="198.51.100.9:4711";by=x, for=10.1.1.1',
        'for=1.2.3.4, for=198.51.100.9, for="[fd00::5]:80"',
        'for="x, for=198.51.100.9',
        'for=1.2.3.4;for=5.6.7.8, FOR = "198.51.100.9"; Host="for=1.2.3.4"',
        'for="[::ffff:198.51.100.9]:80"',
    ],
)
def test_the_standard_header_is_read_too(value: str) -> None:
    """RFC 7239, as far as it is simple."""
    assert behind(("forwarded", value)) == network("198.51.100.9")


@pytest.mark.parametrize("value", ["for=_hidden", "proto=https", "for=unknown", "for", ";;,;="])
def test_a_standard_header_that_hides_the_client_leads_nowhere(value: str) -> None:
    """The proxy's own network answers."""
    assert behind(("forwarded", value)) == network("10.0.0.1")


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded"])
def test_repeated_lines_are_read_in_their_order(name: str) -> None:
    """What a client sends stands before what its proxy adds, in a line of its own or not."""
    hop = {"x-forwarded-for": "{}", "forwarded": "for={};proto=https"}[name]
    lines = [(name, hop.format(address)) for address in ("1.2.3.4", "198.51.100.9", "10.1.1.1")]
    assert behind(*lines) == network("198.51.100.9")
    assert behind(*reversed(lines)) == network("1.2.3.4")


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1", "fd00::1%eth0"])
def test_a_trusted_proxy_is_known_in_every_notation(peer: str) -> None:
    """Sockets that listen on both families wrap IPv4 into IPv6."""
    assert behind(("x-forwarded-for", "2001:db8:1:1::1"), peer=peer) == network("2001:db8:1::")


@pytest.mark.parametrize("peer", ["", "10.0.0.1 ", "localhost", "/run/proxy.sock", "10.0.0.1," * 9])
def test_a_peer_that_is_no_address_is_not_trusted(peer: str) -> None:
    """Whatever a server puts there."""
    found = read(("x-forwarded-for", "198.51.100.9"), client=(peer, 0), **PROXIED)
    assert found.network != network("198.51.100.9") or peer == "10.0.0.1 "


def test_two_headers_that_disagree_are_not_believed() -> None:
    """A proxy writes one of them and passes the other one on as a stranger sent it."""
    chain = ("x-forwarded-for", "198.51.100.9")
    assert behind(chain, ("forwarded", "for=1.2.3.4")) == network("10.0.0.1")
    assert behind(chain, ("forwarded", "for=198.51.100.9")) == network("198.51.100.9")


def test_an_organisation_counts_from_a_trusted_proxy_alone() -> None:
    """Of several lines the last one is the proxy's own."""
    headers = ("x-org", "Victim"), ("x-org", " Example Ltd ")
    found = read(*headers, client=("10.0.0.1", 1), **PROXIED)
    assert found.organisation_name == "Example Ltd"
    assert found.organisation == subject_id(SubjectKind.ORGANISATION, b"Example Ltd", secret=SECRET)


@pytest.mark.parametrize("value", ["", "  ", "a\r\nb", "a\x00b"])
def test_an_organisation_without_a_name_that_can_be_shown_is_none(value: str) -> None:
    """Names go into logs: control characters stay out."""
    found = read(("x-org", value), client=("10.0.0.1", 1), **PROXIED)
    assert (found.organisation, found.organisation_name) == (None, None)


def test_a_client_is_the_program_and_not_its_address() -> None:
    """User agent and SDK headers count; retries, time-outs, keys and places do not."""
    program = ("user-agent", "OpenAI/Python 2.1"), ("x-stainless-os", "Linux")
    found = read(*program).client
    other = ("x-stainless-retry-count", "2"), ("x-stainless-timeout", "9"), ("api-key", "k")
    assert read(*program, *other, client=("198.51.100.9", 1)).client == found
    assert read(program[0], ("x-stainless-os", "MacOS")).client != found
    assert read(program[0]).client != found
    assert read().client[0] == SubjectKind.CLIENT
    long = ("user-agent", "x" * 5_000)
    assert read(long).client != read(("user-agent", "x" * 5_001)).client != read().client


async def test_what_a_real_client_sends_is_understood() -> None:
    """The same key in a header and in the query, sent by httpx, is one caller."""
    seen: list[Principal] = []
    reader = PrincipalReader(load_settings(), SECRET)

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        seen.append(reader.read(scope))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(app, client=("203.0.113.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        headers = {"Authorization": "Bearer sk-1"}
        await client.post("/v1/chat/completions", params={"key": "sk-1"}, headers=headers)
    assert (seen[0].key, seen[0].doubled) == (key(b"sk-1"), None)
    assert seen[0].network == network("203.0.113.9")


@given(
    headers=st.lists(st.tuples(st.sampled_from(NAMES) | st.binary(), st.binary()), max_size=12),
    query=st.binary() | st.text("ky=e&%+6b79", max_size=40).map(str.encode),
    client=st.none()
    | st.tuples(st.text() | st.ip_addresses().map(str) | st.binary(), st.integers()),
    settings=st.sampled_from(
        [{}, PROXIED, {"keys": "ignore"}, {**PROXIED, "trusted_proxies": "unix,10.0.0.0/8"}]
    ),
)
def test_any_bytes_give_a_principal(
    headers: list[tuple[bytes, bytes]],
    query: bytes,
    client: tuple[Any, int] | None,
    settings: dict[str, Any],
) -> None:
    """Nothing in a request makes the reader fail, and the same request is the same caller."""
    reader = PrincipalReader(load_settings(**settings), SECRET)
    scope = {"headers": headers, "query_string": query, "client": client}
    found = reader.read(scope)
    assert found == reader.read(scope)
    assert (found.key[0], found.network[0], found.client[0]) == (1, 4, 5)
    assert {len(found.key), len(found.network), len(found.client)} == {16}
    assert len({found.key, found.doubled, *found.further}) == 2 + len(found.further)


@given(
    st.binary(min_size=1).filter(lambda raw: raw.strip()),
    st.sampled_from([b"authorization", b"x-api-key"]),
)
def test_key_ids_are_those_of_requests(raw: bytes, source: bytes) -> None:
    """What an operator computes from a raw key is what a request with it has."""
    reader = PrincipalReader(load_settings(), SECRET)
    found = reader.read({"headers": [(source, raw)]})
    assert found.anonymous or reader.key_id(raw) == found.key


@given(st.ip_addresses(), st.integers(0, 65_535))
def test_an_address_is_read_in_every_notation(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    """Bare, with a port, in brackets, in quotes, wrapped in IPv6."""
    plain = getattr(address, "ipv4_mapped", None) or address
    texts = [f"[{address}]", f"[{address}]:{port}", f'"[{address}]:{port}"', f" {address} "]
    if address.version == 4:
        texts += [f"{address}:{port}", f"::ffff:{address}"]
    assert {parse_address(text) for text in texts} == {plain}


@given(st.text() | st.text('0123456789abcdef:.[]%" ', max_size=50))
def test_any_text_is_an_address_or_none(text: str) -> None:
    """Junk in a forwarded header is no address and no failure."""
    found = parse_address(text)
    assert found is None or found == ipaddress.ip_address(str(found))
    assert parse_address(text + "1.2.3.4" * 10) is None


def test_the_command_gives_the_id_that_requests_have(tmp_path: Path) -> None:
    """Whether the secret was set or made; line breaks and a scheme do not matter."""
    for settings in (load_settings(secret="x"), load_settings(state_dir=tmp_path)):
        reader = PrincipalReader(settings, deployment_secret(settings))
        found = reader.read({"headers": [(b"authorization", b"Bearer sk-1")]})
        for line in (b"sk-1", b"sk-1\r\n", b"Bearer sk-1\n"):
            assert key_id_of(line, settings) == found.key_id


def test_the_command_refuses_where_an_id_would_mean_nothing() -> None:
    """Without a lasting secret, or without a key, there is no id."""
    with pytest.raises(ConfigurationError, match="GATEWAY_GUARD_SECRET or GATEWAY_GUARD_STATE_DIR"):
        key_id_of(b"sk-1\n", load_settings())
    with pytest.raises(ConfigurationError, match="no key"):
        key_id_of(b" \n", load_settings(secret="x"))
