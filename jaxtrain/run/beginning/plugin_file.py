"""A plugin file with a model of the user's own, in Linen or NNX.

text = plugin_text("linen", name="my_model", command="python -m jaxtrain.main ...")
"""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Literal

from jaxtrain.models import MODELS

Library = Literal["linen", "nnx"]

# Names that the file itself needs.
_NEEDED = ("nn", "nnx", "MODELS", "MyModel", "from_linen", "from_nnx", "len")

_LINEN = '''\
"""A model of my own, in Flax Linen. What stands behind the `*` are options of the config.

To train it on the digits:
"""
# {command}

from flax import linen as nn

from jaxtrain.models import MODELS, from_linen


class MyModel(nn.Module):
    num_outputs: int
    width: int
    dropout: float

    @nn.compact
    def __call__(self, inputs, *, train):
        hidden = inputs.reshape(len(inputs), -1)  # [B, ...] to [B, D]
        hidden = nn.relu(nn.Dense(self.width)(hidden))
        hidden = nn.Dropout(self.dropout, deterministic=not train)(hidden)
        return nn.Dense(self.num_outputs)(hidden)  # [B, num_outputs]; the loss has the softmax


@MODELS.register("{name}")
def {name}(num_outputs: int, *, width: int = 128, dropout: float = 0.2):
    return from_linen(MyModel(num_outputs, width, dropout))
'''

_NNX = '''\
"""A model of my own, in Flax NNX. What stands behind the `*` are options of the config.

To train it on the digits:
"""
# {command}

from flax import nnx

from jaxtrain.models import MODELS, from_nnx


class MyModel(nnx.Module):
    def __init__(self, num_inputs, num_outputs, width, dropout, rngs):
        self.hidden = nnx.Linear(num_inputs, width, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.output = nnx.Linear(width, num_outputs, rngs=rngs)

    def __call__(self, inputs, *, train):
        hidden = inputs.reshape(len(inputs), -1)  # [B, ...] to [B, num_inputs]
        hidden = nnx.relu(self.hidden(hidden))
        hidden = self.dropout(hidden, deterministic=not train)
        return self.output(hidden)  # [B, num_outputs]; the loss has the softmax


@MODELS.register("{name}")
def {name}(num_outputs: int, num_inputs: int, *, width: int = 128, dropout: float = 0.2):
    return from_nnx(lambda rngs: MyModel(num_inputs, num_outputs, width, dropout, rngs))
'''


def plugin_text(library: Library, *, name: str, command: str) -> str:
    """The file.

    Args:
        library: of the model.
        name: what the model is registered as; a Python name.
        command: a line that trains it, to stand in a comment.
    """
    text = _LINEN if library == "linen" else _NNX
    return text.format(name=name, command=command)


def model_name(path: Path) -> str:
    """What the model in a file is called: as the file, where that can be the name of a function.

    >>> [model_name(Path(name)) for name in ("bird_net.py", "bird-net.py", "class.py", "mlp.py")]
    ['bird_net', 'my_model', 'my_model', 'my_model']
    """
    stem = path.stem
    fits = stem.isidentifier() and stem.isascii() and not keyword.iskeyword(stem)
    taken = {*_NEEDED, *MODELS.names()}
    return stem if fits and stem not in taken else "my_model"
