"""Words that the cast's texts are put together from, and the means to put them together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    Words = Mapping[str, Sequence[str]]
    WordTable = dict[str, tuple[str, ...]]

SLOT: Final = re.compile(r"\{(\w+)\}")
# Slots inside slots: a phrase may hold words. Deeper than this a table refers to itself.
DEEPEST: Final = 4


def split(words: str) -> tuple[str, ...]:
    """Return the entries of a list written with semicolons."""
    return tuple(word.strip() for word in words.split(";") if word.strip())


def fill(rng: Random, pattern: str, words: Words) -> str:
    """Fill each ``{slot}`` of a pattern with a word of its list; ``{n}`` is a number up to 99."""
    for _ in range(DEEPEST):
        if "{" not in pattern:
            break
        pattern = SLOT.sub(lambda match: _word(rng, match[1], words), pattern)
    return pattern


def fill_distinct(rng: Random, patterns: Sequence[str], words: Words, count: int) -> list[str]:
    """Return ``count`` filled patterns, none of them twice."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[fill(rng, rng.choice(patterns), words)] = None
    return list(found)


def _word(rng: Random, slot: str, words: Words) -> str:
    return str(rng.randint(2, 99)) if slot == "n" else rng.choice(words[slot])


NAMES: Final = split(
    "Amara; Benedikt; Chiara; Dmitri; Elif; Farah; Goran; Hana; Imani; Jonas; Katya; Luca; Mei; "
    "Nadia; Oskar; Priya; Quentin; Rosa; Sander; Tomoko; Ulla; Viktor; Wanda; Ximena; Yusuf; Zofia"
)
PLACES: Final = split(
    "Lisbon; Kyoto; Tallinn; Valparaíso; Marrakesh; Bergen; Ljubljana; Hanoi; Porto; Ghent; "
    "Izmir; Quito; Galway; Tbilisi; Fremantle; Bologna; Chiang Mai; Halifax; Cusco; Riga; Dakar; "
    "Bristol; Malmö; Krakow"
)
FOODS: Final = split(
    "lentil soup; sourdough; miso ramen; shakshuka; risotto; kimchi; pierogi; ratatouille; "
    "chickpea curry; focaccia; paella; dumplings; borscht; gnocchi; tagine; banana bread; "
    "moussaka; laksa; empanadas; porridge"
)
HOBBIES: Final = split(
    "bouldering; watercolour; the accordion; birdwatching; bread baking; chess; kayaking; "
    "knitting; astronomy; woodturning; salsa dancing; beekeeping; film photography; bonsai; "
    "fencing; pottery; sailing; calligraphy"
)
GADGETS: Final = split(
    "dishwasher; router; espresso machine; e-bike; laptop; thermostat; printer; washing machine; "
    "headphones; camera; vacuum robot; phone; freezer; smart lock; projector; hearing aid; sewing "
    "machine; heat pump"
)
JOBS: Final = split(
    "nurse; carpenter; accountant; translator; bus driver; teacher; florist; geologist; chef; "
    "electrician; librarian; architect; paramedic; farmer; journalist; pharmacist; plumber; "
    "surveyor; optician; baker"
)
ANIMALS: Final = split(
    "hedgehog; border collie; barn owl; axolotl; tortoise; ferret; swift; bumblebee; salmon; "
    "lynx; octopus; guinea pig; heron; newt; mule; jackdaw; seal; gecko"
)
SUBJECTS: Final = split(
    "photosynthesis; inflation; plate tectonics; recursion; the Silk Road; vaccines; black holes; "
    "democracy; erosion; the water cycle; electromagnetism; supply chains; the Renaissance; "
    "enzymes; probability; genetic drift; tides; compilers; trade unions; superconductors; the "
    "French Revolution; hash tables; antibiotics; glaciers; monetary policy; neural networks; "
    "fermentation; the Ottoman Empire; encryption; evolution; double-entry bookkeeping; wave "
    "interference; public key cryptography; coral reefs; jet engines; the Cold War; acid rain; "
    "prime numbers; garbage collection; the nitrogen cycle; opportunity cost; magnetism"
)
TASKS: Final = split(
    "write a haiku about; summarise the history of; list the risks of; compare two views of; "
    "draft a quiz on; explain the basics of; tell a short story around; make a timeline of; "
    "design a poster about; debate; write a dialogue about; give an analogy for; outline a "
    "lecture on; find three misconceptions about; classify the parts of; propose an experiment "
    "on; write a news item about; turn into a recipe; rank; criticise"
)
THINGS: Final = split(
    "water bottle; desk lamp; rain jacket; hiking boots; kettle; office chair; backpack; yoga "
    "mat; bath towel; bicycle helmet; bookshelf; candle; cutting board; wool blanket; sunglasses; "
    "notebook; pillow; garden hose; tent; wallet; teapot; running socks; phone case; picture "
    "frame; coffee grinder; sleeping bag; door mat"
)
QUALITIES: Final = split(
    "lightweight; recycled; hand-made; foldable; waterproof; organic; limited-edition; vintage; "
    "minimalist; insulated; child-safe; scratch-resistant; two-tone; refillable; modular; "
    "heat-proof; pocket-sized"
)
COMPANIES: Final = split(
    "Northwind Ferries; Alder & Finch; Bluegate Insurance; Tarn Mobile; Copperline Bank; Halden "
    "Outdoor; Fennel Foods; Quarry Street Clinic; Lumen Energy; Oakhurst Books; Sable Airlines; "
    "Pinecrest Rentals"
)
LANGUAGES: Final = split(
    "German; French; Spanish; Polish; Japanese; Portuguese; Turkish; Dutch; Italian; Swedish"
)

EVERYDAY: Final[WordTable] = {
    "name": NAMES,
    "place": PLACES,
    "place2": PLACES,
    "food": FOODS,
    "hobby": HOBBIES,
    "gadget": GADGETS,
    "job": JOBS,
    "animal": ANIMALS,
    "subject": SUBJECTS,
    "subject2": SUBJECTS,
    "task": TASKS,
    "thing": THINGS,
    "quality": QUALITIES,
    "company": COMPANIES,
    "language": LANGUAGES,
    "relative": split(
        "my mum; my dad; my sister; a colleague; my landlord; my partner; a neighbour; my boss; "
        "our coach"
    ),
    "mood": split(
        "anxious; thrilled; bored; stuck; tired; curious; annoyed; proud; lost; relieved"
    ),
    "month": split(
        "January; February; March; April; May; June; July; August; September; October; November; "
        "December"
    ),
    "day": split("Monday; Tuesday; Wednesday; Thursday; Friday; Saturday; Sunday"),
    "code": split("Python; JavaScript; Go; Rust; SQL; bash; TypeScript; R; Java; Kotlin"),
}
