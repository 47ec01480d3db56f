"""Filters: nothing that is in a set is missed, and little else is found."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from gateway_guard.cli import main
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.exchange import Exchange, Turn
from gateway_guard.features import FeatureReader
from gateway_guard.lab.corpus import build_corpus
from gateway_guard.model import (
    SHIPPED,
    Model,
    Pool,
    configured_model,
    dump_corpus,
    dump_population,
    load_model,
    parse_corpus,
    with_corpora,
    without,
)
from gateway_guard.model.fuse import FuseStack, build
from tests.traffic import prose

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gateway_guard.features import Features
    from gateway_guard.model import Corpus

Hashes = npt.NDArray[np.uint64]
ITEMS = [prose(Random(number), 260) for number in range(300)]
UNSEEN = [prose(Random(1000 + number), 260) for number in range(300)]


def random_hashes(count: int, seed: int = 0) -> Hashes:
    """Return hashes of 64 bits."""
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def mixed(number: int) -> int:
    """Return a hash of a number."""
    return xxh3_64_intdigest(number.to_bytes(8))


def pool(name: str = "pool", kind: str = "train") -> Pool:
    """Return what a pool is called."""
    return msgspec.convert((name, kind, "CC0"), Pool)


def corpus(items: Iterable[str] = ITEMS, name: str = "pool", kind: str = "train") -> Corpus:
    """Return a corpus for the shipped model."""
    return build_corpus(pool(name, kind), items, SHIPPED.seed)


def knowing(*corpora: Corpus) -> Model:
    """Return the shipped model with other corpora."""
    return msgspec.structs.replace(SHIPPED, corpora=corpora)


def read(text: str, model: Model, role: str = "user") -> Features:
    """Return the features of one text."""
    turns = (msgspec.convert({"role": role, "text": text}, Turn),)
    return FeatureReader(b"a secret", model=model).read(Exchange("", "", turns), lambda _: None)


# --- fuse filters ---------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=300), min_size=1, max_size=4))
def test_nothing_that_is_in_a_set_is_missed(sets: list[list[int]]) -> None:
    """Whatever the hashes are, however few, and whatever stands beside them."""
    hashes = [np.array([mixed(number) for number in each], np.uint64) for each in sets]
    stack = FuseStack([build(each) for each in hashes])
    for number, each in enumerate(hashes):
        assert stack.contains(each)[number].all()


@pytest.mark.parametrize("count", [0, 3, 200, 20_000])
def test_one_in_256_of_other_hashes_is_found(count: int) -> None:
    """Whatever the size of the set."""
    stack = FuseStack([build(random_hashes(count))])
    share = stack.contains(random_hashes(200_000, seed=1)).mean()
    assert share == pytest.approx(1 / 256, rel=0.15)


def test_an_element_takes_about_nine_bits() -> None:
    """In sets of the size of a public pool."""
    assert 8 * build(random_hashes(100_000)).fingerprints.size < 9.6 * 100_000
    assert 8 * build(random_hashes(10_000)).fingerprints.size < 11 * 10_000


def test_equal_sets_make_equal_filters() -> None:
    """In any order, and however often an element is given."""
    hashes = random_hashes(500)
    one, other = build(hashes), build(np.concatenate([hashes[::-1], hashes]))
    assert one.fingerprints.tobytes() == other.fingerprints.tobytes()


# --- corpora --------------------------------------------------------------------------------------


def test_items_are_recognised_in_whatever_they_are_wrapped_in() -> None:
    """Before and after them, and spelled with tricks."""
    known = corpus()
    model, rng = knowing(known), Random(5)
    for item in ITEMS[:40]:
        tricky = item.upper().replace(" ", "\u2003")
        wrapped = f"{prose(rng, 200)}\n\n{item}\n\n{prose(rng, 200)}"
        for text in (item, tricky, wrapped):
            assert read(text, model).train == (known.id,)


def test_other_texts_are_not_recognised() -> None:
    """Nor the beginnings of items, which are too little to tell."""
    model = knowing(corpus())
    assert not any(read(text, model).train for text in UNSEEN)
    assert not any(read(item[:40], model).train for item in ITEMS)


@pytest.mark.parametrize("role", ["system", "tool", "assistant"])
def test_what_a_caller_was_fed_is_no_item_of_his(role: str) -> None:
    """A page that a search brings may quote a pool."""
    assert read(ITEMS[0], knowing(corpus()), role).train == ()


def test_an_item_of_an_evaluation_is_from_no_train_corpus() -> None:
    """Its examples may be train items."""
    model = knowing(corpus(), corpus(UNSEEN, "evaluation", "test"))
    found = read(f"{ITEMS[0]}\n\n{UNSEEN[0]}", model)
    assert (found.train, found.test) == ((), True)


def test_a_turn_of_phrase_is_not_kept() -> None:
    """What comes in many items, or elsewhere too, is nobody's."""
    phrase = prose(Random(77), 300)
    phrased = corpus([f"{item} {phrase}" for item in ITEMS])
    assert read(phrase, knowing(phrased)).train == ()
    cleared = build_corpus(pool(), [phrase], SHIPPED.seed, elsewhere=[phrase])
    assert read(phrase, knowing(cleared)).train == ()
    assert read(phrase, knowing(corpus([phrase]))).train


def test_a_repeated_window_counts_once() -> None:
    """Nobody becomes a harvester by one sentence that happens to be found."""
    words = " ".join(ITEMS[0].split()[:5])
    assert read(f"{words} " * 80, knowing(corpus())).train == ()


def test_requests_read_together_are_what_each_is_alone() -> None:
    """No window reaches from one into the next."""
    model = knowing(corpus())
    reader, drafts = FeatureReader(b"a secret", model=model), []
    texts = [text for pair in zip(ITEMS[:20], UNSEEN[:20], strict=True) for text in pair]
    for text in texts:
        exchange = Exchange("", "", (Turn("user", text),))
        drafts.append(reader.survey(exchange, lambda _: None, reader.anchors(exchange)))
    reader.read_drafts(drafts)
    together = [reader.features(draft, lambda _: None).train for draft in drafts]
    assert together == [read(text, model).train for text in texts]


def test_a_corpus_is_written_and_read_back() -> None:
    """With all that is known of it."""
    made = corpus()
    found = parse_corpus(dump_corpus(made))
    assert (found.pool, found.items, found.windows_an_item) == (made.pool, len(ITEMS), 8)
    assert dump_corpus(found) == dump_corpus(made)
    assert read(ITEMS[0], knowing(found)).train == (made.id,)


DATA = dump_corpus(corpus(ITEMS[:20]))


TABLE_AT = DATA.index(b"}\n") + 2


@given(st.integers(TABLE_AT, len(DATA) - 1), st.integers(1, 255))
def test_a_damaged_filter_is_refused(place: int, difference: int) -> None:
    """Whichever byte it is."""
    damaged = bytearray(DATA)
    damaged[place] ^= difference
    with pytest.raises(ValueError, match="damaged"):
        parse_corpus(bytes(damaged))


@given(st.integers(0, TABLE_AT - 1), st.integers(1, 255))
def test_a_damaged_header_is_refused_or_harmless(place: int, difference: int) -> None:
    """A letter of a name may change, but no table is looked at beyond its end."""
    damaged = bytearray(DATA)
    damaged[place] ^= difference
    with suppress(ValueError):
        found = parse_corpus(bytes(damaged))
        assert FuseStack([found.filter]).contains(random_hashes(50)).shape == (1, 50)


@given(st.integers(0, len(DATA) - 1))
def test_a_truncated_corpus_is_refused(size: int) -> None:
    """Wherever it ends."""
    with pytest.raises(ValueError, match=r"."):
        parse_corpus(DATA[:size])


def test_a_corpus_of_another_version_is_refused() -> None:
    """In words that say so."""
    with pytest.raises(ValueError, match="another release"):
        parse_corpus(DATA.replace(b"corpus 1", b"corpus 2", 1))


# --- models ---------------------------------------------------------------------------------------


def own_model(folder: Path) -> Path:
    """Write the shipped population and one corpus."""
    shipped = msgspec.structs.replace(SHIPPED.population, texts=7)
    (folder / "population.toml").write_text(dump_population(shipped), "utf-8")
    (folder / "pool.corpus").write_bytes(DATA)
    return folder


def test_an_own_model_replaces_the_shipped_one(tmp_path: Path) -> None:
    """And further corpora come beside those of whichever it is."""
    model = load_model(own_model(tmp_path))
    assert (model.population.texts, [each.pool.name for each in model.corpora]) == (7, ["pool"])
    assert model.weights is None
    further = tmp_path / "elsewhere"
    further.write_bytes(dump_corpus(corpus(UNSEEN, "other")))
    names = [each.pool.name for each in configured_model(None, [further]).corpora]
    assert names == [*(each.pool.name for each in SHIPPED.corpora), "other"]
    assert [each.pool.name for each in without(model, ["pool"]).corpora] == []


def test_a_corpus_of_another_seed_is_refused_with_the_right_one(tmp_path: Path) -> None:
    """Its hashes would never be met."""
    path = tmp_path / "strange.corpus"
    path.write_bytes(dump_corpus(build_corpus(pool(), ITEMS, 5)))
    with pytest.raises(ConfigurationError, match=f"--model-seed {SHIPPED.seed}"):
        with_corpora(SHIPPED, [path])


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    """A folder without a population, files that are none, paths that lead nowhere."""
    with pytest.raises(ConfigurationError, match=r"population\.toml"):
        load_model(tmp_path)
    with pytest.raises(ConfigurationError, match="nowhere"):
        load_model(tmp_path / "nowhere")
    broken = tmp_path / "broken.corpus"
    broken.write_bytes(DATA[:-1])
    for path in (broken, tmp_path / "missing.corpus"):
        with pytest.raises(ConfigurationError, match=path.name):
            with_corpora(SHIPPED, [path])


# --- the command ----------------------------------------------------------------------------------


def test_the_command_builds_a_corpus_from_lines_of_any_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON, compressed JSON and plain text give the same filter."""
    rows = [json.dumps({"question": item}) for item in ITEMS]
    (tmp_path / "a.jsonl").write_text("\n".join(rows), "utf-8")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress("\n\n".join(rows).encode()))
    (tmp_path / "c.txt").write_text("\n".join(ITEMS), "utf-8")
    made = []
    for path in sorted(tmp_path.iterdir()):
        out = tmp_path / f"{path.name}.corpus"
        arguments = ["lab", "corpus", "build", "pool", "--kind", "train", "--field", "question"]
        assert main([*arguments, "--in", str(path), "--licence", "CC0", "--out", str(out)]) == 0
        made.append(out.read_bytes())
    assert made == [dump_corpus(corpus())] * 3
    assert f"{len(ITEMS)} items" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.jsonl", b'{"other": "text"}', "line 1"),
        ("a.jsonl", b'{"prompt": 3}', "line 1"),
        ("a.jsonl", b"no JSON", "line 1"),
        ("a.jsonl.gz", b"not compressed", "a.jsonl.gz"),
        ("a.txt", b"too short\n", "no item"),
    ],
)
def test_the_command_says_what_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, complaint: str
) -> None:
    """With the line, where there is one."""
    (tmp_path / name).write_bytes(content)
    arguments = ["lab", "corpus", "build", "pool", "--kind", "test", "--in", str(tmp_path / name)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert complaint in capsys.readouterr().err


def test_the_command_builds_a_population(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the people in a folder, under a seed of one's own."""
    rows = "\n".join(json.dumps({"prompt": item}) for item in ITEMS)
    (tmp_path / "human_made_up.jsonl").write_text(rows, "utf-8")
    out = tmp_path / "population.toml"
    arguments = ["lab", "population", "build", "--corpora", str(tmp_path), "--out", str(out)]
    assert main([*arguments, "--model-seed", "9"]) == 0
    assert load_model(tmp_path).seed == 9
    assert "made_up" in capsys.readouterr().out
    assert main([*arguments[:-1], str(tmp_path / "no" / "folder")]) == 2
    with pytest.raises(SystemExit):
        main([*arguments, "--model-seed", "-1"])


def test_the_shipped_corpora_are_small_and_of_the_shipped_seed() -> None:
    """There are both kinds, and together they take less than 400 KB."""
    assert {each.pool.kind for each in SHIPPED.corpora} == {"train", "test"}
    assert {each.seed for each in SHIPPED.corpora} == {SHIPPED.seed}
    assert sum(len(dump_corpus(each)) for each in SHIPPED.corpora) < 400_000
