"""The parsed form of a request and of its answer, whatever dialect they were spoken in.

Nothing is parsed here. A dialect makes these values; everything further down the street reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from xxhash import xxh3_128_digest

_WHITE_SPACE = b" \t\n\r\v\f"
MOST_ID_CHARS = 1024
"""Of an answer's id."""

MOST_OTHERS = 63
"""Further exchanges of one request that are read apart: more would keep other requests waiting."""

Role = Literal["system", "user", "assistant", "tool"]


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One contribution to the conversation, its text parts joined by newlines.

    ``system`` stands for developer roles too. A message that mixes tool results with text becomes
    several turns in the order of its parts, so that text a tool fetched is never taken for text a
    person or program wrote. ``images`` counts parts that are not text. ``call_ids`` are the ids of
    the tool calls an assistant turn made.
    """

    role: Role
    text: str
    images: int = 0
    call_ids: tuple[str, ...] = ()


class Sampling(msgspec.Struct, frozen=True, gc=False):
    """How the answer shall be drawn; ``None`` where the request is silent."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    thinking_tokens: int | None = None
    effort: str | None = None
    answers: int = 1
    stops: int = 0
    logprobs: bool = False
    top_logprobs: int = 0
    logit_bias: int = 0
    seeded: bool = False
    structured: bool = False


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """A request for an answer.

    ``turns`` are in the order of the request, system text first. ``body_bytes`` is the size of the
    request body on the wire. ``unparsed`` marks a body that no parser understood: its bytes stand
    as one user turn. ``tool_definitions`` counts the tools offered to the model.

    ``others`` are further exchanges of the same request, such as the other prompts of a list:
    ``MOST_OTHERS`` at most, none of which has others or a size of its own. The last one stands for
    all that are left, their texts joined and their answers added up. Of a batch those that were
    drawn are here, and ``times`` says for how many of its exchanges each stands. ``file`` is the id
    of the file that holds the exchanges of this request, as the upstream gave it; ``batch`` says
    that they are answered later, all of them.

    ``place`` is the id of a thread or conversation that the upstream keeps; what ``adds`` puts
    texts there, or in a new one, and asks for no answer.
    """

    dialect: str
    model: str
    turns: tuple[Turn, ...]
    sampling: Sampling = Sampling()
    stream: bool = False
    tool_definitions: int = 0
    end_user: str | None = None
    body_bytes: int = 0
    unparsed: bool = False
    others: tuple[Exchange, ...] = ()
    place: str | None = None
    adds: bool = False
    times: int = 1
    file: str = ""
    batch: bool = False


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens as the upstream reported them."""

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What was seen of one answer.

    ``digests`` holds ``text_digest`` of each choice (at most eight) in which text or tool calls
    were seen, ``names`` that of each id by which clients may refer to the answer, its own first.
    ``output_chars`` counts visible characters, ``reasoning_chars`` those of served reasoning;
    ``failed`` says that an error came instead of, or in the middle of, the answer. ``awaited`` is
    the digest of the id under which the answer can be fetched, where it was not complete yet.
    ``parts`` are the answers in a list of them.
    """

    output_chars: int = 0
    reasoning_chars: int = 0
    tool_calls: int = 0
    finish: str | None = None
    usage: Usage | None = None
    digests: tuple[bytes, ...] = ()
    failed: bool = False
    names: tuple[bytes, ...] = ()
    awaited: bytes | None = None
    parts: tuple[Answer, ...] = ()


class AnswerText(msgspec.Struct, frozen=True, gc=False):
    """What one answer says, while it is being read: whoever hears it keeps nothing of it.

    ``visible`` holds the text of each choice, at most eight, in the order in which they began;
    ``reasoning`` is what was served of the reasoning, that of all choices. What was beyond the
    bounds of reading is missing. ``id`` is what the upstream called the answer, ``names`` are the
    digests of the ids by which it can be referred to or fetched.
    """

    visible: tuple[str, ...] = ()
    reasoning: str = ""
    id: str | None = None
    names: tuple[bytes, ...] = ()

    def ends(self, most_chars: int) -> AnswerText:
        """Return no more than so many characters of each text: its head and its tail."""
        return msgspec.structs.replace(
            self,
            visible=tuple([both_ends(text, most_chars) for text in self.visible]),
            reasoning=both_ends(self.reasoning, most_chars),
        )


Hear = Callable[[AnswerText], None]
"""Takes the text of an answer once it is complete; it is gone when that returns."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How an exchange ended, as far as the guard could see.

    ``status`` is the upstream's status code, ``None`` when no response started. ``completed`` is
    false when the client left, the upstream raised or the stream was cut. Where the answer is still
    to be read, ``unread`` returns it, once, and tells what it says; of one that was read already,
    ``texts`` wait to be heard. ``declined`` says that an error told of a policy for contents.
    ``id`` is what a header called the answer.
    """

    status: int | None
    completed: bool
    answer: Answer | None = None
    unread: Callable[[Hear | None], Answer | None] | None = None
    texts: tuple[AnswerText, ...] = ()
    declined: bool = False
    id: str | None = None

    def read(self, hear: Hear | None = None) -> Answer | None:
        """Return what was seen of the answer, and have ``hear`` told its text; may be called once.

        A list of answers is told one by one, and one that says nothing not at all.
        """
        if self.unread is not None:
            return self.unread(hear)
        if hear is not None:
            for text in self.texts:
                hear(text)
        return self.answer


def both_ends(text: str, most_chars: int) -> str:
    """Return a text's head and tail, a line apart, where it has more than so many characters."""
    half = most_chars // 2
    return text if len(text) <= most_chars else f"{text[:half]}\n{text[-half:]}"


def name_digest(name: str, key: bytes) -> bytes:
    """Return 16 bytes that identify an id under a key, as those of a turn that is nothing else."""
    return text_digest("", key, (name,))


def text_digest(text: str, key: bytes, call_ids: tuple[str, ...] = ()) -> bytes:
    """Return 16 bytes that identify a text under a key, whatever its white space.

    A turn without text is identified by the ids of its tool calls, which clients send back as they
    got them. Who could make two texts collide could send the same text twice as well, so a fast
    hash (XXH3) does.
    """
    squeezed = text.encode("utf-8", "surrogatepass").translate(None, _WHITE_SPACE)
    if not squeezed:
        squeezed = "\0".join(call_ids).encode("utf-8", "surrogatepass")
    return xxh3_128_digest(squeezed, int.from_bytes(key[:8]))
