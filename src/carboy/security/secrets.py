"""Is a secret key a secret? Keys that are missing, too short, guessable or printed in a tutorial.

Whoever knows the key signs session cookies, tokens and URLs of their own. Cracking tools try the
keys of tutorials and templates first, then words; a random key of 128 bits ends the search.
"""

from __future__ import annotations

import math
import re
import secrets
import typing as t
from itertools import pairwise

#: Bytes of randomness in a new key.
NEW_KEY_BYTES = 32
#: Fewer characters than this are short, whatever they are.
SHORTEST = 16
#: What an attacker would have to search, in bits, for a key to be strong enough.
ENOUGH_BITS = 112

#: Keys of tutorials, templates and default configurations, some of which have their own CVE
#: (Superset CVE-2023-27524, Airflow CVE-2020-17526, Redash CVE-2021-41192). Without case and
#: punctuation, as :func:`_folded` leaves them.
_KNOWN_KEYS = """
0123456789abcdef 192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf
21thisismyscretkey12eyyh 5791628bb0b13ce0c676dfde280ba245 5y2lf4q8z 5y2lf4q8znxec
9olwxnd4o83j4k4iuopo a0zr98j3yxrxhhjmnlwxrt abc abc123 admin anyrandomstring anysecretkey
appsecretkey asdf asecretkey bar c292a0a3aa32397cdb050e233733900f changeme changemeinproduction
changemenow changemetoacomplexrandomsecret changethis changethiskey default defaultsecretkey dev
development developmentkey developmentonly developmentsecretkey devkey devonly devsecret
devsecretkey djangoinsecure example examplekey fallbacksecretkey fixme flask flasksecret
flasksecretkey foo foobar hardtoguess hardtoguessstring hello helloworld hjshjhdjahkjshkjdhjs
ilovepython insecure insecuresecretkey itsasecret key letmein mykey mypassword myprecious mysecret
mysecretkey mysupersecretkey none notasecret notsecret null ohsosecret pass passw0rd password
placeholder production qwerty randomkey randomsecretkey randomstring replaceme replacethis s3cr3t
sample samplekey secret secret123 secret1234 secretkey secretkey123 secretkeygoeshere secretkeyhere
secretpassword secretsecret secretstring setme someday somerandomstring somesecret somesecretkey
somethingsecret string superdupersecret supersecret supersecretkey supersecretkey123
supersecretpassword supersecretstring temporarykey test testdefaultsecretkey testing testingkey
testingonly testkey testnondevsecret testsecret testsecretkey thekey thesecretkey thisisasecret
thisisasecret1234 thisisasecretkey thisismyscretkeyeyyh thisismysecret thisismysecretkey
thisisnotasecret thisissecret thisissupposedtobesecret thiskeyisnotsecret
thisreallyneedstobechanged tobechanged todo topsecret unsafe unsafesecretkey usearandomkey
verysecret verysecretkey veryverysecret whatever xxx youllneverguess youownrandomgeneratedsecretkey
yourkeyhere yourownrandomgeneratedsecretkey yoursecret yoursecrethere yoursecretkey
yoursecretkeyhere youwillneverguess youwillneverguessthis youwillneverknow
"""
_WELL_KNOWN = frozenset(_KNOWN_KEYS.split())

_TEMPLATE = "django-insecure-"

_WORD = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{3,}")
#: Pairs of letters that make up more than half of English text, and a tenth of random letters.
_COMMON_PAIRS = """
al an ar as at be ch co de di ea ec ed el en er es et ev ey ha he hi ic il in io is it ke le li ll
ly ma me nd ne ng nt of om on or ou pa ra re ri ro ry se so ss st ta te th ti to ty un ur us ve wo
yo
"""
_PAIRS = frozenset(_COMMON_PAIRS.split())


class Weakness(t.NamedTuple):
    """What is wrong with a key: ``kind`` is missing, known, short or weak; ``text`` says it."""

    kind: t.Literal["missing", "known", "short", "weak"]
    text: str


def new_key(size: int = NEW_KEY_BYTES) -> str:
    """A fresh key: ``size`` random bytes as hexadecimal text. ValueError below 16 bytes."""
    if size < SHORTEST:
        raise ValueError(
            f"A key of {size} bytes could be guessed; ask for {SHORTEST} or more"
            f" ({NEW_KEY_BYTES} is what `carboy secret` makes)."
        )
    key = secrets.token_hex(size)
    # Config.from_prefixed_env reads JSON: a text of digits alone would become a number.
    return key if not key.replace("e", "").isdigit() else new_key(size)


def weakness(key: str | bytes | None) -> Weakness | None:
    """What makes this key guessable, or None for a good one.

    The text never holds the key itself, so it may be logged and shown.
    """
    if not key:
        return Weakness("missing", "no secret key is set")
    text = key if isinstance(key, str) else bytes(key).decode("latin-1")
    folded = _folded(text)
    if (folded in _WELL_KNOWN and len(folded) * 2 >= len(text)) or text.startswith(_TEMPLATE):
        return Weakness("known", "the key is one that tutorials and templates print")
    if len(text) < SHORTEST:
        return Weakness("short", f"the key has {len(text)} characters")
    core = _without_repetition(text)
    if len(set(core)) < 8 or len(core) < SHORTEST // 2:
        return Weakness("weak", "the key repeats a few characters")
    if _steps(core) * 3 >= len(core) * 2:
        return Weakness("weak", "the key runs along the alphabet or the digits")
    bits = estimated_bits(core)
    if bits >= ENOUGH_BITS:
        return None
    if _is_words(core):
        return Weakness("weak", f"the key is made of words, about {bits:.0f} bits to a cracker")
    return Weakness("short", f"the key holds about {bits:.0f} bits; {ENOUGH_BITS} are wanted")


def estimated_bits(text: str) -> float:
    """How many bits a search for this text would have to cover at most, by its looks.

    Words count two bits a character, random characters the size of their alphabet.
    """
    if _is_words(text):
        return 2.0 * len(text)
    bare = text.replace("-", "")
    if re.fullmatch(r"[0-9a-f]+|[0-9A-F]+", bare):
        return 4.0 * len(bare)
    alphabet = sum(
        size
        for size, pattern in (
            (10, "[0-9]"),
            (26, "[a-z]"),
            (26, "[A-Z]"),
            (2, "[-_]"),
            (31, r"[^\w-]"),
        )
        if re.search(pattern, text, re.ASCII)
    )
    if not text.isascii() or not text.isprintable():
        alphabet = 256
    return len(text) * math.log2(max(alphabet, 2))


def _folded(text: str) -> str:
    return "".join(char for char in text.lower() if char.isascii() and char.isalnum())


def _without_repetition(text: str) -> str:
    """The unit of a text that says the same thing again and again, else the text."""
    place = (text + text).find(text, 1)
    return text[:place]


def _steps(text: str) -> int:
    """How many characters are the one before them, or its neighbour in the character table."""
    return sum(abs(ord(one) - ord(other)) <= 1 for one, other in pairwise(text))


def _is_words(text: str) -> bool:
    """Whether most of the text is letters in runs of one case that follow each other as in words."""
    words = _WORD.findall(text)
    if sum(map(len, words)) * 10 < len(text) * 7:
        return False
    pairs = [one + other for word in words for one, other in pairwise(word.lower())]
    return sum(pair in _PAIRS for pair in pairs) * 3 >= len(pairs)
