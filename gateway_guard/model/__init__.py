"""The model: what ships of the world's questions, as numbers and seeded hashes.

Everything here is published: a population to measure a shift from, and filters of public pools of
questions. What is secret, and what is learned from traffic, lies elsewhere.
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
from gateway_guard.model.population import Population, dump_population, parse_population
from gateway_guard.model.words import WIDTH, Hashing

__all__ = [
    "SHIPPED",
    "SUFFIX",
    "WIDTH",
    "Corpus",
    "Hashing",
    "Kind",
    "Model",
    "Pool",
    "Population",
    "configured_model",
    "dump_corpus",
    "dump_population",
    "load_model",
    "make_corpus",
    "parse_corpus",
    "parse_population",
    "with_corpora",
    "without",
]
