"""Files: written whole or not at all, held by one process, under names that stay inside.

with replacing(directory / "metrics.json") as temporary:
    temporary.write_text(text)
"""

from jaxtrain.files.anchor import anchored, refuse_gone
from jaxtrain.files.append import append_line
from jaxtrain.files.atomic import make_directory, replacing, sync, unfinished
from jaxtrain.files.directory import new_directory
from jaxtrain.files.names import inside, refuse_links
from jaxtrain.files.paths import typed_directory

__all__ = [
    "anchored",
    "append_line",
    "inside",
    "make_directory",
    "new_directory",
    "refuse_gone",
    "refuse_links",
    "replacing",
    "sync",
    "typed_directory",
    "unfinished",
]
