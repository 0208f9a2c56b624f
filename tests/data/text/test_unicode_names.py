from __future__ import annotations

import hashlib

from jaxtrain.data.text.unicode_names import unicode_names

# Found the same under Python 3.6 to 3.13: a run on it goes on under another Python.
DIGEST = "c55741ffc966b73fc28fd68c35f65ad3a23a4eba0c822762fed29d254ad64109"


def test_it_is_the_same_text_everywhere():
    text = unicode_names()
    assert hashlib.sha256(text.encode()).hexdigest() == DIGEST
    assert (len(text), len(text.split("\n")), len(set(text))) == (354_743, 12_886, 39)
    assert text.isascii()
    assert text.startswith("arabic ligature alef with fathatan isolated form\n")
