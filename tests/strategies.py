"""Requests as careless and hostile clients send them, for properties."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tests.callers import CHAT
from tests.parity import COMPLETIONS, ENCODERS, FORM, MULTIPART, Sent, chat, encoded, form, part

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
PROMPTS = TEXTS.filter(str.strip)
VALUES = st.builds(chat, PROMPTS) | st.builds(lambda text: {"prompt": text}, PROMPTS)
BEHIND = st.sampled_from([b"", b"", b" \n", b"garbage", b"{}", b'{"prompt":"more"}', b"\0"])
BESIDE = st.sampled_from(
    ["", "", ', "x": NaN', ', "n": "2"', ', "messages": 3', ', "x": "\\ud800"']
)
CHARSETS = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32-be", "utf-7", "cp037"])
KINDS = st.sampled_from(
    [
        *[b"", b"application/json", b"application/json; charset=utf-8", b"text/plain"],
        *[FORM, FORM + b"; charset=utf-16", MULTIPART, b"multipart/form-data", b"image/png"],
        *[b"application/json; charset=utf-7", b"application/json; charset=latin-1"],
    ]
)
STACKS = st.lists(st.sampled_from(list(ENCODERS)), max_size=3).map(tuple)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Write JSON in one of the ways in which there is something amiss."""
    value, more = draw(VALUES), draw(BESIDE)
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))[:-1] + more + "}"
    return text.encode(draw(CHARSETS), "replace") + draw(BEHIND)


@st.composite
def multiparts(draw: st.DrawFn) -> bytes:
    """Write parts, the boundary and what looks like it among their texts."""
    pieces = st.sampled_from(["--cut", "\r\n--cut", "--cut--", "\r\n", "a", ";", ' name="b"', "\n"])
    texts = st.lists(pieces, max_size=6).map("".join) | TEXTS
    names = st.sampled_from(["prompt", "prompt", "model", "x", 'a"; name="prompt'])
    files = st.sampled_from([b"", b"", b'; filename="a.txt"', b"; filename=a"])
    pairs = draw(st.lists(st.tuples(names, texts, files), max_size=4))
    body = b"".join(part(name, text.encode(), more) for name, text, more in pairs)
    return body + draw(st.sampled_from([b"--cut--\r\n", b"--cut--", b"", b"--cut"]))


def forms_of(name: str) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Return forms that say things under one name; a server takes one of them at one path."""
    return st.lists(
        st.tuples(st.sampled_from([name, name, f"x;{name}", "model"]), TEXTS), max_size=4
    )


FORMS = st.sampled_from(["prompt", "messages", "input"]).flatmap(forms_of)
BODIES = documents() | multiparts() | FORMS.map(form) | st.binary(max_size=40)


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """Send a body under headers that may be true of it."""
    body, stack = draw(BODIES), draw(STACKS)
    body = encoded(body, *stack) if draw(st.booleans()) else body
    return Sent(body, draw(KINDS), stack, draw(st.sampled_from([CHAT, COMPLETIONS])))


REQUESTS = requests()


def squeezed(text: str) -> str:
    """Return a text without what readers may change: surrogates, zeroes, ends of lines."""
    text = text.encode("utf-8", "replace").decode().replace("\0", "")
    return text.replace("\r\n", "\n").strip()
