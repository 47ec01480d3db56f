"""What fuzzing has found, each input a test by name."""

from __future__ import annotations

import re
import sys
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway_guard.dialects import DIALECTS, read_request
from gateway_guard.dialects import readers as readers_module
from gateway_guard.dialects.decoding import decode
from tests.fuzz.seeds import PATHS
from tests.responses_read import heard

if TYPE_CHECKING:
    from collections.abc import Callable

DIALECT_FILES = Path(readers_module.__file__).parent


MOST_CALLS_A_BYTE = 8


def calls_in(work: Callable[[], object]) -> int:
    """Return how many functions are called, which is the same on every machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def is_read_quickly(body: bytes, path: str) -> bool:
    """Tell whether a request takes few calls for its size."""
    return calls_in(lambda: read_request(body, path)) < 10_000 + MOST_CALLS_A_BYTE * len(body)


NUMBERS = [b"1e308", b"1e-320"]
SLOW_FIELDS = {
    "alone": b"[%b]",
    "an unknown field": b'{"messages":[{"role":"user","content":"a"}],"x":[%b]}',
    "weights of tokens": b'{"prompt":"a","input":"a","message":"a","logit_bias":{"1":[%b]}}',
    "tool arguments": b'{"input":[{"type":"function_call","arguments":{"a":[%b]}}]}',
    "a prompt": b'{"prompt":[%b],"input":[%b]}',
}


@pytest.mark.parametrize("where", SLOW_FIELDS)
def test_numbers_at_the_ends_of_the_range_are_read_as_fast_as_others(where: str) -> None:
    """Msgspec alone takes half a second for these bytes, and half a minute for ten megabytes.

    That is no matter of calls: that its own numbers are not asked for is another test's claim.
    """
    for number, (path, *_) in product(NUMBERS, PATHS.values()):
        numbers = b",".join([number] * (120_000 // (len(number) + 1)))
        assert is_read_quickly(SLOW_FIELDS[where].replace(b"%b", numbers), path)


@pytest.mark.parametrize("name", [b"temperature", b"top_p", b"topP", b"p"])
@pytest.mark.parametrize("path", [paths[0] for paths in PATHS.values()])
def test_a_field_with_a_slow_number_may_come_any_number_of_times(path: str, name: bytes) -> None:
    """Each of them is read, though the last one counts."""
    fields = b",".join([b'"%b":1e308' % name] * 20_000)
    body = b'{"messages":[{"role":"user","content":"a"}],"prompt":"a",%b}' % fields
    for whole in (body, b'{"generationConfig":{%b},"inferenceConfig":{%b}}' % (fields, fields)):
        assert is_read_quickly(whole, path)


def test_requests_are_decoded_by_decoders_that_no_number_slows_down() -> None:
    """By no others, unless what they make holds no numbers; nor is any field a ``float``."""
    slow = re.compile(
        r"msgspec\.json\.Decoder\(|msgspec\.json\.decode\((?!.*type=)|^    \w+: .*\bfloat\b.* =",
        re.MULTILINE,
    )
    sources = {path.name: path.read_text(encoding="utf-8") for path in DIALECT_FILES.glob("*.py")}
    del sources["decoding.py"]
    assert {name: found for name, text in sources.items() if (found := slow.findall(text))} == {}


def test_numbers_that_are_too_large_are_infinite_or_refused() -> None:
    """As the standard parser reads them, or not at all where they are to be written again."""
    assert decode(b"[1e400,-1e400,1e-400,1.5]") == [float("inf"), float("-inf"), 0.0, 1.5]
    assert decode(b"[1e308]", finite=True) == [1e308]
    with pytest.raises(ValueError, match="too large"):
        decode(b"[1e400]", finite=True)


@pytest.mark.parametrize("value", [b"1e400", b'"0.5"', b"true", b"{}", b'"x"', b"[1e308]", b"null"])
@pytest.mark.parametrize("path", [paths[0] for paths in PATHS.values()])
def test_a_temperature_that_is_none_loses_nothing_else(path: str, value: bytes) -> None:
    """Whatever its type is."""
    told = b'{"messages":[{"role":"user","content":"a"}],"contents":"a","input":"a","prompt":"a"'
    body = told + b',"message":"a","temperature":%b}' % value
    _, exchange = read_request(body, path)
    assert exchange is not None
    assert not exchange.unparsed
    assert exchange.turns[-1].text == "a"
    assert exchange.sampling.temperature in {None, 0.5, 1.0}


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(
    "piece", [b"\n", b"\r", b"\r\n", b'{"a:\0"}\n', b'data: {"id": "c1", "obje}\n\n']
)
def test_a_stream_of_blank_lines_or_broken_events_is_read_quickly(
    dialect: object, piece: bytes
) -> None:
    """Two parsers in turn were asked what each of them is."""
    name: str = getattr(dialect, "name", "")
    body = [b'data: {"broken\n\n' + piece * (2**14 // len(piece))] * 16
    for event_stream in (True, False):
        work = partial(heard, body, PATHS[name][0], event_stream=event_stream)
        assert calls_in(work) < MOST_CALLS_A_BYTE * sum(map(len, body))


def test_an_answer_in_many_lines_takes_time_by_their_number_alone() -> None:
    """How long it is so far was added up anew for each of them."""
    body = b'{"text":"a","stop":' + b'{"text":"b"}\n' * 20_000
    few, many = (
        calls_in(partial(heard, [b'{"broken\n', body[: len(body) // part]], "/generate"))
        for part in (4, 1)
    )
    assert many < 5 * few
    assert heard([b'{"broken\n', body], "/generate").output_chars == 1


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages/batches", "/any/path"])
@pytest.mark.parametrize("item", [b"{}", b'{"":1}'])
def test_many_small_objects_take_no_longer_than_a_bound(path: str, item: bytes) -> None:
    """A hundred kilobytes of objects that say nothing are given up before long."""
    body = b'{"messages":[%b,1]}' % b",".join([item] * 34_000)
    assert calls_in(lambda: read_request(body, path)) < 10_000 + 3 * len(body)


@pytest.mark.parametrize("value", [b"[]", b'[{"text":"a"}]', b"3", b'"a"', b"null"])
def test_a_prompt_variable_of_a_wrong_type_loses_no_other(value: bytes) -> None:
    """Bedrock's variables are objects with a text; what else stands there is left out."""
    body = b'{"promptVariables":{"x":%b,"y":{"text":"a question"}}}' % value
    _, exchange = read_request(body, "/model/prompt/converse")
    assert exchange is not None
    assert [turn.text for turn in exchange.turns] == ["a question"]


@pytest.mark.parametrize("depth", [1, 30])
def test_strings_far_down_take_as_many_calls_as_others(depth: int) -> None:
    """What is asked for each string does not grow with the lists around it."""
    inner = '"x",' * 20_000 + '"x"'
    body = f'{{"system":[{"[" * depth}{inner}{"]" * depth}]}}'.encode()
    assert is_read_quickly(body, "/model/m/converse")


def test_answers_of_which_few_are_broken_are_read_as_fast_as_others() -> None:
    """What is broken is looked for among many; the others are not read one by one."""
    item = b'{"candidates":[1]},'
    body = b"[" + (b'{"a"2 1},' + b'{"a": 1},' * 36) * 800 + item + b"{}]"
    work = partial(heard, [body], "/v1beta/models/m:streamGenerateContent")
    assert calls_in(work) < 1.5 * len(body)


def test_a_broken_event_of_one_line_is_read_once() -> None:
    """Its lines were read one by one after it, which for one line is the same again."""
    events, fewest = b"data: }\n\n" * 20_000, 20_000
    work = partial(heard, [b"data: {\n\n", events], "/generate", event_stream=True)
    assert calls_in(work) < 15 * fewest


def test_an_answer_of_many_numbers_is_not_read_line_by_line() -> None:
    """A line that holds no object says nothing, and costs as little."""
    body = b"1\n" * 90_000 + b'{"text":"ab"}\n{\n'
    assert heard([body], "/generate").output_chars == 2
    assert calls_in(partial(heard, [body], "/generate")) < len(body)
