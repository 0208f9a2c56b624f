"""TextStream: text as its tokens come.

    stream = TextStream(tokenizer.decode, prompt)
    for news in generator.stream([prompt], max_new_tokens=64):
        print(stream.added(news[0]), end="", flush=True)
    print(stream.rest())

A token may be part of a character, and the text of a token may depend on those before it (the space
in front of a word), so tokens are never decoded by themselves: what is new is what all of them make
that they did not make before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

_BROKEN = "\N{REPLACEMENT CHARACTER}"


class TextStream:
    """The text behind a prompt, piece by piece.

    Args:
        decode: from tokens to text.
        prompt: the tokens before, whose text is not said.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], prompt: Iterable[int]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._said = ""
        self.added(prompt)

    def added(self, tokens: Iterable[int]) -> str:
        """What more tokens add; "" as long as their last character is not whole."""
        self._tokens += [int(token) for token in tokens]
        text = self._decode(self._tokens)
        # At most three bytes wait for the end of their character; what stays broken is broken.
        whole = max(len(text.rstrip(_BROKEN)), len(text) - 3, len(self._said))
        return self._new(text[:whole])

    def rest(self) -> str:
        """What has waited, when no more tokens come."""
        return self._new(self._decode(self._tokens))

    def _new(self, text: str) -> str:
        if len(text) <= len(self._said):
            return ""
        new, self._said = text[len(self._said) :], text
        return new
