"""The encoding that a text looks to be written in."""

from __future__ import annotations

import pytest

from jaxtrain.data.tables.encoding import find_encoding


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        ("a,b\n1,2\n", "ascii", "utf-8"),
        ("é\n", "utf-8", "utf-8"),
        ("é\n", "utf-8-sig", "utf-8"),
        ("é\n", "utf-16", "utf-16"),
        ("id,도시,v\n1,서울,2.0\n2,부산,3\n", "cp949", "cp949"),
        ("nom;ville\nZoé;Orléans\nRené;Besançon\n", "cp1252", "cp1252"),
        ("名前,年齢\n田中太郎,3\n鈴木花子,4\n", "cp932", "cp932"),
    ],
)
def test_encodings(text, encoding, found):
    guess = find_encoding(text.encode(encoding))
    assert guess == found or text.encode(encoding).decode(guess) == text
