"""MLflow: what lies on the disk, on a tracking server as well; as often as one likes.

    synced = sync(RunRecord.read("runs/digits/first"), "http://127.0.0.1:5000")
    synced.values, synced.files, synced.notes        # what was sent this time; what is other there

    with uploading(directory, "http://127.0.0.1:5000"):     # while it goes on, from a thread
        ...

| here | there |
|---|---|
| project | experiment |
| run | run; its tag `jaxtrain.key` finds it again |
| config | params: `optimizer.learning_rate` |
| rows of iterations | metrics `step/loss`, at the iteration |
| rows of epochs | metrics `val/loss`, at the iteration; of a script's run `epoch/val/loss` |
| what was logged | metrics `loss` of a script's run, else `log/loss`; `axis/tokens/loss` |
| media, artifacts, config.yaml, metadata.json, metrics.json, pictures, indices | artifacts |

The disk is the truth. Checkpoints and metrics.jsonl itself stay here. mlflow is imported when
something is sent, and not before.
"""

from jaxtrain.tracking.mlflow.sending import Synced, sync
from jaxtrain.tracking.mlflow.sent import is_sent
from jaxtrain.tracking.mlflow.server import tracking_uri
from jaxtrain.tracking.mlflow.uploader import Uploader, uploading

__all__ = ["Synced", "Uploader", "is_sent", "sync", "tracking_uri", "uploading"]
