"""A text that every Python has, the same in all of them: the names of Unicode's characters.

    unicode_names()                      # "cyrillic small letter ie\\nidentical to\\n..."

Names never change once they are given (Unicode's stability policy), and Python keeps a database of
version 3.2 beside its newest one: so the text is that of Python 3.6 as much as of 3.13. The
licence, `this` and the topics of `pydoc` are other texts in each version, or too short to learn
from. 12,886 names, a line each, 354,743 characters, 39 of them different.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache

from jaxtrain.data.shuffle import shuffled

# Tens of thousands that differ in a number or a syllable.
_COUNTED = ("CJK UNIFIED IDEOGRAPH-", "CJK COMPATIBILITY IDEOGRAPH-", "HANGUL SYLLABLE ")


@cache
def unicode_names() -> str:
    """The names in small letters, in an order that was drawn once and for all.

    In that of the characters the end would be about other things than the beginning.
    """
    name = unicodedata.ucd_3_2_0.name
    every = (name(chr(code), "") for code in range(sys.maxunicode + 1))
    names = [one.lower() for one in every if one and not one.startswith(_COUNTED)]
    return "\n".join(names[place] for place in shuffled(len(names), seed=0, stream=0))
