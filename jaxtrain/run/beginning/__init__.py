"""To begin: a config from what there is, a plugin from nothing.

beginning = begin_with_images(Path("birds"))
Path("birds.yaml").write_text(config_text(beginning.config, beginning.comments))
"""

from jaxtrain.run.beginning.arrays import begin_with_arrays
from jaxtrain.run.beginning.beginning import Beginning, Fact, project_of, where_from
from jaxtrain.run.beginning.config_file import config_text
from jaxtrain.run.beginning.images import begin_with_images
from jaxtrain.run.beginning.plugin_file import model_name, plugin_text

__all__ = [
    "Beginning",
    "Fact",
    "begin_with_arrays",
    "begin_with_images",
    "config_text",
    "model_name",
    "plugin_text",
    "project_of",
    "where_from",
]
