"""Short-lived tokens: their bearer is one caller, and nobody can write another's name into one."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.principal import Principal, PrincipalReader, SubjectKind, key_id_of, subject_id
from gateway_guard.settings import deployment_secret, load_settings

if TYPE_CHECKING:
    from gateway_guard.settings import Settings

SECRET = b"s" * 32
PEER = ("203.0.113.7", 1)


def reader(previous: bytes | None = None, **settings: object) -> PrincipalReader:
    """Return a reader that goes by the claim ``sub``."""
    values: dict[str, Any] = {"key_claim": "sub"} | settings
    return PrincipalReader(load_settings(**values), SECRET, previous)


def token(signature: str = "c2ln", **claims: object) -> bytes:
    """Write a token; nothing here looks at its signature."""
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, claims)]
    encoded = [urlsafe_b64encode(part).rstrip(b"=") for part in parts]
    return b".".join((*encoded, signature.encode()))


def read(from_: PrincipalReader, *tokens: bytes) -> Principal:
    """Read a request with a token, and others behind it."""
    names = (b"authorization", b"x-api-key", b"api-key")
    headers = [(name, b"Bearer " + it) for name, it in zip(names, tokens, strict=False)]
    return from_.read({"headers": headers, "client": PEER})


def key(value: bytes) -> bytes:
    """Return the id of a raw key."""
    return subject_id(SubjectKind.KEY, value, secret=SECRET)


def test_tokens_of_one_bearer_are_one_key_once_each_was_accepted() -> None:
    """However short they live."""
    it = reader()
    keys = []
    for signature in ("a", "b", "c"):
        found = read(it, token(signature, sub="ann", exp=1))
        assert found.key == found.token == key(token(signature, sub="ann", exp=1))
        it.accept(found)
        again = read(it, token(signature, sub="ann", exp=1))
        assert (again.token, again.claimed) == (found.key, None)
        assert again.key == found.claimed
        assert again.key_id == again.key.hex()
        keys.append(again.key)
    assert len(set(keys)) == 1


def test_a_forged_token_does_not_speak_for_whom_it_names() -> None:
    """Neither before nor after the real one was accepted, nor beside a key that is accepted."""
    it = reader()
    it.accept(read(it, token("real", sub="victim")))
    victim = read(it, token("real", sub="victim")).key
    forged = read(it, token("forged", sub="victim"))
    assert forged.key != victim
    assert forged.claimed == victim
    for tokens in (
        (token("forged", sub="victim"), b"sk-own"),
        (b"sk-own", token("forged", sub="victim")),
    ):
        found = read(it, *tokens)
        assert found.claimed is None
        it.accept(found)
        assert victim not in {(again := read(it, *tokens)).key, again.doubled, *again.further}


def test_what_is_accepted_is_that_token_and_no_other_spelling_of_its_claims() -> None:
    """The same claims under another signature are another token."""
    it = reader()
    it.accept(read(it, token("real", sub="ann")))
    assert read(it, token("Real", sub="ann")).key == key(token("Real", sub="ann"))


def test_a_token_that_was_turned_away_speaks_for_nobody_any_more() -> None:
    """It has expired, perhaps; its bearer is not forgotten for that."""
    it = reader()
    it.accept(read(it, token("a", sub="ann")))
    it.accept(read(it, token("b", sub="ann")))
    ann = read(it, token("b", sub="ann")).key
    it.forget(read(it, token("a", sub="ann")))
    assert read(it, token("a", sub="ann")).key == key(token("a", sub="ann"))
    assert read(it, token("b", sub="ann")).key == ann


def test_accepted_tokens_are_keys_wherever_they_stand() -> None:
    """Behind another key, too; two of one bearer are one."""
    it = reader()
    for signature in ("a", "b"):
        it.accept(read(it, token(signature, sub="ann")))
    ann = read(it, token("a", sub="ann")).key
    found = read(it, b"sk-1", token("a", sub="ann"))
    assert (found.key, found.doubled) == (key(b"sk-1"), ann)
    found = read(it, token("a", sub="ann"), token("b", sub="ann"))
    assert (found.key, found.doubled) == (ann, None)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"sub": "ann"}, {"sub": "ann", "exp": 9, "aud": "x"}, True),
        ({"sub": "ann"}, {"sub": "bob"}, False),
        ({"sub": "ann", "iss": "a"}, {"sub": "ann", "iss": "b"}, False),
        ({"sub": 7}, {"sub": "7"}, True),
        ({"sub": "ab", "iss": "c"}, {"sub": "b", "iss": "ca"}, False),
    ],
)
def test_bearers_are_told_apart_by_issuer_and_claim(
    one: dict[str, Any], other: dict[str, Any], *, same: bool
) -> None:
    """Whatever else their tokens say."""
    it = reader()
    assert (read(it, token(**one)).claimed == read(it, token(**other)).claimed) is same


@pytest.mark.parametrize(
    "raw",
    [
        *[b"sk-1", b"eyJ.eyJ", b"eyJ.eyJ.", b"eyJh.!!!.x", b"eyJhbGciOiJub25lIn0.W10.x"],
        *[
            token(),
            token(sub=""),
            token(sub=None),
            token(sub=["a"]),
            token(sub=True),
            token(name="a"),
        ],
        token(sub="a").replace(b"eyJ", b"EyJ"),
        token(sub="a", more="x" * 20_000),
        token(sub="a") + b".x",
    ],
)
def test_what_claims_nothing_is_a_key_of_its_own(raw: bytes) -> None:
    """Other keys go on as they are."""
    found = read(reader(), raw)
    assert (found.key, found.claimed) == (key(raw), None)


def test_without_the_setting_tokens_are_keys_like_all_others() -> None:
    """Nothing is looked into."""
    it = reader(key_claim=None)
    found = read(it, token(sub="ann"))
    assert (found.key, found.token, found.claimed) == (key(token(sub="ann")), None, None)
    it.accept(found)
    it.forget(found)
    assert read(it, token(sub="ann")) == found


def test_who_has_no_token_stays_anonymous() -> None:
    """And nothing can be accepted of him."""
    it = reader()
    found = read(it)
    it.accept(found)
    it.forget(found)
    assert found.anonymous
    assert read(it) == found == reader(key_claim=None).read({"headers": [], "client": PEER})


def test_no_key_passes_for_a_claim() -> None:
    """A key that is spelled like one has another id."""
    ann = read(reader(), token(sub="ann")).claimed
    assert ann not in {key(raw) for raw in (b"ann", b"claim", b"claimsubann", b"claimsub\0ann")}


def test_accepted_tokens_are_bounded() -> None:
    """The latest are kept."""
    it = reader(memory="1MiB")
    for number in range(1_100):
        it.accept(read(it, token(str(number), sub="ann")))
    kept = [read(it, token(str(number), sub="ann")).claimed is None for number in range(1_100)]
    assert sum(kept) == 1_024
    assert all(kept[-1_000:])


@given(st.binary() | st.binary().map(lambda raw: b"eyJ." + urlsafe_b64encode(raw) + b".x"))
def test_any_bytes_are_read_as_a_key(raw: bytes) -> None:
    """Whatever stands between two dots."""
    found = read(reader(), raw)
    assert found.key[0] == SubjectKind.KEY
    assert found.claimed is None


def settings_of(secret: str, **more: object) -> Settings:
    """Return settings under a secret."""
    values: dict[str, Any] = {"secret": secret} | more
    return load_settings(**values)


def rotated(**more: object) -> tuple[PrincipalReader, PrincipalReader]:
    """Return the reader before a rotation of the secret, and the one after it."""
    old, new = settings_of("old", **more), settings_of("new", secret_previous="old", **more)
    before = PrincipalReader(old, deployment_secret(old))
    after = PrincipalReader(new, deployment_secret(new), deployment_secret(old))
    return before, after


@pytest.mark.parametrize("keys", [(b"sk-1",), (), (b"sk-1", b"sk-2")])
def test_after_a_rotation_a_key_is_known_by_its_former_id(keys: tuple[bytes, ...]) -> None:
    """Callers without one, too."""
    before, after = rotated()
    found = read(after, *keys)
    assert found.former == read(before, *keys).key != found.key
    assert read(before, *keys).former is None


def test_after_a_rotation_a_token_is_known_by_its_bearers_former_id() -> None:
    """Once it was accepted; until then by its own."""
    before, after = rotated(key_claim="sub")
    for _ in ("new", "accepted"):
        old, now = read(before, token(sub="ann")), read(after, token(sub="ann"))
        assert now.former == old.key != now.key
        before.accept(old)
        after.accept(now)
    assert read(after, token(sub="ann")).claimed is None


def test_the_command_gives_the_id_of_whom_a_token_names() -> None:
    """So that an operator can entitle him."""
    settings = settings_of("x", key_claim="sub")
    it = PrincipalReader(settings, deployment_secret(settings))
    it.accept(read(it, token("a", sub="ann")))
    assert (
        key_id_of(token("b", sub="ann") + b"\n", settings) == read(it, token("a", sub="ann")).key_id
    )
    assert key_id_of(b"sk-1\n", settings) == read(it, b"sk-1").key_id
