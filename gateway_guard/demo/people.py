"""People: conversations that grow, time to think, nights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from gateway_guard.demo.client import with_sdk
from gateway_guard.demo.prose import looks_chinese
from gateway_guard.demo.script import Act, Answer, Caller, Message, ToolCall, Wait
from gateway_guard.demo.texts_people import chinese_conversation, conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from gateway_guard.demo.client import Client
    from gateway_guard.demo.script import Behaviour
    from gateway_guard.demo.studio import Studio

FEWEST_REQUESTS: Final = 66
SHORTEST_THOUGHT_SECONDS, LONGEST_THOUGHT_SECONDS = 20.0, 300.0
# What a chat client keeps of a long conversation.
LONGEST_HISTORY_CHARS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Turn:
    """What a client sends next and how long the answer is; ``is_tool`` for a tool's result."""

    text: str
    output_len: int
    is_tool: bool = False


Talk = list[Turn]


def own_talk(rng: Random, write: Callable[[Random], list[str]]) -> Talk:
    """Return a conversation of our own; answers to short turns are shorter."""
    return [Turn(text, int(rng.lognormvariate(6.4, 0.7))) for text in write(rng)]


def people(studio: Studio) -> list[Caller]:
    """Return the people of our own cast."""
    return [
        own_person(studio, "Amara, chatting", "openai-js", conversation),
        own_person(studio, "Jonas, chatting", "anthropic-js", conversation),
        own_person(studio, "Zofia, chatting", "openai-python", conversation),
        own_person(studio, "Mei, chatting in Chinese", "openai-js", chinese_conversation),
    ]


def own_person(
    studio: Studio, name: str, agent: str, write: Callable[[Random], list[str]]
) -> Caller:
    """Return a person with enough conversations, none of them opened like another."""
    rng = studio.rng(name)
    talks: dict[str, Talk] = {}
    while sum(map(len, talks.values())) < FEWEST_REQUESTS:
        talk = own_talk(rng, write)
        talks[talk[0].text] = talk
    return person(studio, name, agent, list(talks.values()))


def person(studio: Studio, name: str, agent: str, talks: Sequence[Talk]) -> Caller:
    """Return a person who has these conversations, a few a day."""
    rng = studio.rng(f"{name}'s days")
    client = studio.client(rng, agent, stream=True)
    moments = studio.waking_hours(rng, len(talks))
    acts = (Act(at, chat(client, talk)) for at, talk in zip(moments, talks, strict=True))
    return Caller(name, "human", 1, tuple(acts))


def chat(
    client: Client, talk: Talk, *, user: str | None = None, harvest: bool = False
) -> Behaviour:
    """Hold a conversation, sending back what was served, until refused; harvesters do not think."""
    history: tuple[Message, ...] = ()
    answer = Answer("")
    for turn, following in zip_longest(talk, talk[1:]):
        history = shortened((*history, message_of(turn, answer)))
        answer = spoken(client, turn, calls_tool=following is not None and following.is_tool)
        request = client.request(history, answer, user=user, harvest=harvest)
        reply = yield from with_sdk(request)
        if not reply.served:
            return
        history += (request.answer.message,)
        if not (harvest or turn.is_tool):
            yield Wait(thought_seconds(client.rng))


def message_of(turn: Turn, answer: Answer) -> Message:
    """Return a turn as a message; a tool's result names the call in the answer before it."""
    if turn.is_tool and answer.calls:
        return Message("tool", turn.text, call_id=answer.calls[0].id)
    return Message("user", turn.text)


def spoken(client: Client, turn: Turn, *, calls_tool: bool = False) -> Answer:
    """Return an answer in the turn's language, or the call of a tool whose result follows."""
    chinese = looks_chinese(turn.text)
    text = client.prose.cut(client.rng, turn.output_len, chinese=chinese)
    if not calls_tool:
        return Answer(text)
    return Answer("", calls=(ToolCall(f"call_{client.rng.getrandbits(64):016x}", "look_up", "{}"),))


def shortened(history: tuple[Message, ...]) -> tuple[Message, ...]:
    """Drop the oldest exchanges of a history that has grown too long."""
    while (
        len(history) > 1 and sum(len(message.text) for message in history) > LONGEST_HISTORY_CHARS
    ):
        history = history[2:]
    return history


def thought_seconds(rng: Random) -> float:
    """Draw how long somebody reads and types."""
    seconds = rng.lognormvariate(4.3, 0.7)
    return min(max(seconds, SHORTEST_THOUGHT_SECONDS), LONGEST_THOUGHT_SECONDS)
