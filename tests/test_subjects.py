"""Subjects: which ones a request speaks for, and what they are called."""

from __future__ import annotations

from random import Random

from gateway_guard.principal import Principal, SubjectIds, SubjectKind
from gateway_guard.subjects import MINIMUM_SAMPLE, Subject, hash_of, template_in_key_id
from tests.driving import SECRET, Caller, Driver, Play, ids_of, play
from tests.traffic import prose, sentence

LONG = "Please sort the letters on the table by the year in which each of them was written."


def kinds(asked: Play, caller: Caller | None = None) -> list[SubjectKind]:
    """Return the kinds of the subjects of a request, in their order: known before it is read."""
    driver = Driver()
    ticket = driver.admit(caller or Caller("alice"), asked)
    found = list(ticket.ids)
    driver.flush()
    assert [(subject.kind, subject.id) for subject, _ in ticket.shares] == found
    return [kind for kind, _ in found]


def test_the_shortest_request_speaks_for_key_network_and_client() -> None:
    """The key comes first."""
    assert kinds(play("Hello")) == [SubjectKind.KEY, SubjectKind.NETWORK, SubjectKind.CLIENT]


def test_a_request_speaks_for_up_to_three_templates_at_first_sight() -> None:
    """System text, head and tail; a content anchor needs words that recur."""
    system = "You are the patient librarian of a small town by the sea."
    assert kinds(play(LONG)).count(SubjectKind.TEMPLATE) == 2
    assert kinds(play(LONG, system=system)).count(SubjectKind.TEMPLATE) == 3
    assert kinds(play("Hello", system=system)).count(SubjectKind.TEMPLATE) == 1


def test_words_that_recur_make_a_content_anchor() -> None:
    """A wrapper with a nonce at both ends is still one template."""
    driver, rng = Driver(), Random(1)
    wrapper = "Answer the following question in the manner of a patient and thorough teacher"
    for number in range(12):
        text = f"{sentence(rng, 9)} {wrapper} {sentence(rng, 9)}"
        driver.ask(Caller(f"key-{number}"), play(text))
        driver.flush()
    ids = []
    for number in range(5):
        text = f"{sentence(rng, 9)} {wrapper} {sentence(rng, 9)}"
        ticket = driver.ask(Caller(f"new-{number}"), play(text))
        driver.flush()
        assert len(ids_of(ticket, SubjectKind.TEMPLATE)) == 3
        ids.append(set(ids_of(ticket, SubjectKind.TEMPLATE)))
    assert len(set.intersection(*ids)) == 1


def test_what_is_named_is_spoken_for() -> None:
    """An end user, an organisation, and every further credential."""
    found = kinds(play(LONG, end_user="u"), Caller("alice", organisation="Q", second="bob"))
    assert found.count(SubjectKind.KEY) == 2
    assert SubjectKind.END_USER in found
    assert SubjectKind.ORGANISATION in found


def test_a_third_credential_counts_as_well() -> None:
    """No honest client sends three."""
    two = Caller("alice", second="bob").principal
    third = SubjectIds(SECRET).make(SubjectKind.KEY, b"carol")
    fields = {field: getattr(two, field) for field in Principal.__struct_fields__}
    principal = Principal(**{**fields, "further": (third,)})
    driver = Driver()
    ticket = driver.engine.admit(principal, play("Hello").exchange, "/v1/x", driver.now)
    assert ids_of(ticket, SubjectKind.KEY) == [two.key, two.doubled, third]


def test_an_end_user_of_any_characters_has_an_id() -> None:
    """Lone surrogates come through JSON."""
    ticket = Driver().admit(Caller("alice"), play("Hello", end_user="\ud800"))
    assert len(ids_of(ticket, SubjectKind.END_USER)) == 1


def test_head_and_tail_of_one_text_are_two_subjects() -> None:
    """The same six words at the other end are another template."""
    driver = Driver()
    same = "sort these letters by their year"
    asked = play(f"{same} {prose(Random(1), 60)} {same}")
    ids = ids_of(driver.admit(Caller("a"), asked), SubjectKind.TEMPLATE)
    assert len(set(ids)) == 2


def test_ids_begin_with_their_kind_and_have_one_length() -> None:
    """So kinds never collide, in no table."""
    driver = Driver()
    caller = Caller("alice", organisation="Q", second="bob")
    ticket = driver.admit(caller, play(LONG, system=prose(Random(1), 90), end_user="u"))
    assert len(ticket.ids) == 9
    for kind, id_ in ticket.ids:
        assert id_[0] == kind
        assert len(id_) == 16
    (template, *_) = ids_of(ticket, SubjectKind.TEMPLATE)
    inner = template_in_key_id(template, ticket.key.id)
    assert (inner[0], len(inner)) == (SubjectKind.TEMPLATE_IN_KEY, 16)


def test_a_subject_begins_unknown_and_due_at_the_smallest_sample() -> None:
    """Nothing is scored before that."""
    subject = Subject(b"\1" * 16, SubjectKind.KEY, b"\1" * 16)
    assert (subject.row, subject.exchanges, subject.due) == (-1, 0, MINIMUM_SAMPLE)
    assert hash_of(subject.id) == int.from_bytes(b"\1" * 8)


def test_nobody_without_the_secret_can_name_a_subject() -> None:
    """The same key has another id in another deployment."""
    ids = {SubjectIds(secret).make(SubjectKind.KEY, b"alice") for secret in (b"one", b"two")}
    assert len(ids) == 2
