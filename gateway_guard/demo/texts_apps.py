"""What ordinary programs send: documents with questions, tickets, sentences, briefs, test items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway_guard.demo.lexicon import EVERYDAY, fill, fill_distinct, split

if TYPE_CHECKING:
    from random import Random

WORDS: Final = EVERYDAY | {
    "dept": split("billing; delivery; returns; accounts; security; warranty; bookings; loyalty"),
    "verb": split(
        "opened; closed; renewed; reported; inspected; moved; doubled; paused; rebuilt; audited"
    ),
    "asset": split(
        "warehouse; ferry line; call centre; branch; depot; pension fund; solar park; clinic; "
        "archive"
    ),
    "object": split(
        "invoice; parcel; contract; refund; account; voucher; subscription; booking; password; "
        "meter"
    ),
    "trouble": split(
        "is late; was charged twice; never arrived; is locked; shows an error; has the wrong "
        "name; cannot be cancelled; is missing a page; expired early; was sent to {place}"
    ),
}
RAG_SYSTEM: Final = (
    "You answer questions of {company} staff from the passages that are given with each question. "
    "Use nothing but the passages. If they do not hold the answer, say that the handbook does not "
    "cover it. Answer in at most three sentences and name the passage you used."
)
FACTS: Final = (
    "In {month} 20{n} {company} {verb} its {asset} in {place}, which employs {n} people.",
    "The {dept} team in {place} answers within {n} hours and is closed on {day}.",
    "{name} has led the {asset} in {place} since {month}, after {n} years as a {job}.",
    "A {quality} {thing} may be returned within {n} days if the {object} is shown.",
    "Customers of the {asset} pay {n} percent less in {month} than in {place}.",
    "Each {object} carries a number of {n} digits that the {dept} team must check on {day}.",
    "The {gadget} on floor {n} was {verb} by {name}; the guarantee ends in {month}.",
    "Expenses for trips to {place} above {n} euros need the signature of a {job} from {dept}.",
)
RAG_QUESTIONS: Final = (
    "How many people work at the {asset} in {place}?",
    "Who leads the {asset} in {place}?",
    "Until when can a {quality} {thing} be returned?",
    "When is the {dept} team closed?",
    "What has to be checked on an {object}?",
    "Which trips need a signature from {dept}?",
    "When does the guarantee of the {gadget} end?",
)
TICKETS: Final = (
    "Hello, my {object} {trouble}. I wrote to {dept} on {day} already. {name}",
    "{object} number {n}{n} {trouble}!!! please fix before {day}",
    (
        "Hi team, I moved from {place} to {place2} and now the {object} {trouble}. Can you help? "
        "Regards, {name}"
    ),
    "I bought a {quality} {thing} in {month} and the {object} {trouble}.",
    "the app says my {object} {trouble}, what do I do",
    "Good morning, please tell {name} in {dept} that the {object} {trouble} since {month}.",
)
CLASSIFY: Final = (
    "Sort the customer message into exactly one of these queues and reply with the queue's name "
    "only: billing, delivery, returns, accounts, security, warranty, bookings, other.\n\nMessage:\n"
)
LABELS: Final = split("billing; delivery; returns; accounts; security; warranty; bookings; other")
SENTENCES: Final = (
    "The {quality} {thing} is back in stock from {day}.",
    "Please keep the {object} until the {dept} team has written to you.",
    "{name} moved to {place} in {month} to work as a {job}.",
    "For {food} you need {n} minutes and a hot oven.",
    "Visitors of {place} should not miss the {day} market, where {food} is sold from {n} stalls.",
    "If the {gadget} {trouble2}, switch it off and wait for {n} minutes.",
    (
        "Our {asset} near {place} has been {verb}; the {dept} team thanks you for waiting until "
        "{month}."
    ),
)
SUPPORT_SYSTEM: Final = (
    "You are the support assistant of {company}. Be friendly and brief. Help with orders, "
    "deliveries, returns and accounts; hand over to a person from {dept} when someone asks for it "
    "or is upset. Never promise refunds."
)
SUPPORT_TURNS: Final = (
    "yes, the number is {n}{n}{n}",
    "I did that already on {day}",
    "no, in {place}",
    "can I talk to a person please",
    "ok and how long will that take?",
    "the {thing} is {quality}, if that matters",
    "thank you, that is all",
    "it still {trouble}",
)
CONTENT_SYSTEM: Final = (
    "You write for shops that use Shelfwriter. From the merchant's notes write the product page: "
    "a headline, two paragraphs in the merchant's tone and a list of five features. British "
    "spelling, no superlatives, no prices."
)
CONTENT_NOTES: Final = (
    (
        "{quality} {thing}, made by a {job} in {place}. Tone: {tone}. Must mention: {feature}, "
        "{feature2}. For people who like {hobby}."
    ),
    (
        "Newsletter block for {month}: our {thing} now also {quality}. Tone {tone}. {name} had the "
        "idea in {place}. Mention {feature}."
    ),
    "{thing} / {quality} / {n} cm / from {place} / tone: {tone} / for every {job} / {feature}",
    (
        "Landing page for {company}: {quality} {thing} plus {food} recipe card, {tone}, launch on "
        "{day}, {feature}."
    ),
)
INVOICE: Final = (
    (
        "INVOICE {n}{n}\nFrom: {company}, {place}\nTo: {name}, {job}\nDate: {n} {month}\n1 x "
        "{quality} {thing}  {n}.00\n"
        "2 x {thing}  {n}.50\nDue: {day}, {n} days net"
    ),
)
EVAL_ITEMS: Final = (
    (
        "Question: {name} has {n} boxes with {n} apples each and gives {n} to a {animal}. How many "
        "are left?\nAnswer:"
    ),
    (
        "Which of these is linked most closely to {subject}?\nA. {food}\nB. {subject2}\nC. "
        "{gadget}\nD. {place}\nAnswer:"
    ),
    "True or false: a {animal} can eat {food} on {day}.\nAnswer:",
)


@dataclass(frozen=True, slots=True)
class Item:
    """One unit of a program's work: what it sends, and how many characters come back or which."""

    text: str
    output_len: int
    answer: str | None = None
    system: str | None = None


def rag_items(rng: Random, count: int) -> list[Item]:
    """Return questions over passages; the answer stands in one of them."""
    items = []
    for _ in range(count):
        facts = [fill(rng, fact, WORDS) for fact in rng.choices(FACTS, k=rng.randint(12, 30))]
        passages = "\n\n".join(f"[{i + 1}] {' '.join(facts[i::4])}" for i in range(4))
        question = fill(rng, rng.choice(RAG_QUESTIONS), WORDS)
        answer = " ".join(rng.sample(facts, rng.randint(1, 3)))
        items.append(Item(f"{passages}\n\nQuestion: {question}", len(answer), answer))
    return items


def classify_items(rng: Random, count: int) -> list[Item]:
    """Return tickets to sort; the answer is one word."""
    tickets = fill_distinct(rng, TICKETS, WORDS, count)
    return [Item(CLASSIFY + ticket, 8, rng.choice(LABELS)) for ticket in tickets]


def translate_items(rng: Random, count: int) -> list[Item]:
    """Return sentences to translate; the answer is about as long."""
    words = WORDS | {"trouble2": ("beeps", "stops", "smells of smoke", "blinks")}
    items = []
    for _ in range(count):
        text = " ".join(
            fill(rng, pattern, words) for pattern in rng.sample(SENTENCES, rng.randint(2, 5))
        )
        language = rng.choice(("German", "French"))
        length = int(len(text) * rng.uniform(0.9, 1.3))
        items.append(Item(f"Translate into {language}, keep names as they are:\n\n{text}", length))
    return items


def extract_items(rng: Random, count: int) -> list[Item]:
    """Return invoices to read; the answer is a small object."""
    head = "Return seller, buyer, date and total of this invoice as JSON.\n\n"
    invoices = fill_distinct(rng, INVOICE, WORDS, count)
    return [Item(head + invoice, rng.randint(70, 130)) for invoice in invoices]


def content_items(rng: Random, count: int) -> list[Item]:
    """Return merchants' notes; the answer is a page of text."""
    words = WORDS | {
        "tone": split("dry; warm; playful; factual; nostalgic; bold; calm; cheeky"),
        "feature": split(
            "fits a bicycle basket; dishwasher safe; ships flat; repair for life; comes in a tin; "
            "tested at {place}; weighs {n} grams; made from old {thing}s; needs no {gadget}"
        ),
        "feature2": split(
            "plastic free; two year warranty; {n} colours; engraving by hand; made on {day}s only"
        ),
    }
    notes = fill_distinct(rng, CONTENT_NOTES, words, count)
    return [Item(note, int(rng.lognormvariate(7.2, 0.25))) for note in notes]


def eval_items(rng: Random, count: int) -> list[Item]:
    """Return test items; the answer is short."""
    questions = fill_distinct(rng, EVAL_ITEMS, WORDS, count)
    return [Item(question, rng.randint(1, 60)) for question in questions]


def support_conversation(rng: Random) -> list[str]:
    """Return what a customer writes to a support bot, turn by turn."""
    patterns = [rng.choice(TICKETS), *rng.sample(SUPPORT_TURNS, rng.randint(1, 4))]
    return [fill(rng, pattern, WORDS) for pattern in patterns]
