"""The model: what ships of the world's questions, as seeded hashes.

Everything here is published: filters of public pools of questions. What is secret, and what is
learned from traffic, lies elsewhere.
"""

from gateway_guard.model.corpus import Corpus, Kind, Pool, dump_corpus, make_corpus, parse_corpus
from gateway_guard.model.files import (
    SHIPPED,
    SUFFIX,
    Model,
    configured_model,
    load_model,
    with_corpora,
    without,
)
from gateway_guard.model.words import Hashing

__all__ = [
    "SHIPPED",
    "SUFFIX",
    "Corpus",
    "Hashing",
    "Kind",
    "Model",
    "Pool",
    "configured_model",
    "dump_corpus",
    "load_model",
    "make_corpus",
    "parse_corpus",
    "with_corpora",
    "without",
]
