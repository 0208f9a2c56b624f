"""What three processes bring to each other, for `test_meeting.py`."""

import json
import threading
import time

import jax

from jaxtrain.errors import PeerError
from jaxtrain.parallel import exchange, hear, meet
from jaxtrain.parallel.meeting import client


def main(port, number, count):
    jax.distributed.initialize(f"127.0.0.1:{port}", int(count), int(number))
    own = int(number)
    time.sleep(0.05 * own)
    said = {"values": [exchange("figures", f"{own}-{turn}", seconds=20) for turn in range(3)]}
    # Meetings of other names, in a thread beside: who comes to which first is another each time.
    others = []
    thread = threading.Thread(target=lambda: others.append(exchange("beside", str(own * 10))))
    thread.start()
    meet("here", seconds=20)
    thread.join()
    said["beside"] = others[0]
    said["heard"] = [hear("from the first", f"{own} says {turn}", seconds=20) for turn in range(2)]
    # One does not come: the others wait no longer than they are told to, and say who it is.
    if own != 1:
        began = time.monotonic()
        try:
            meet("missing one", seconds=1)
        except PeerError as error:
            said["missing"] = str(error)
        said["seconds"] = time.monotonic() - began
    meet("behind it", seconds=20)  # that one failed is no reason for the next to fail
    said["left"] = len(client().key_value_dir_get("jaxtrain/meetings/figures"))
    print(json.dumps(said), flush=True)
    meet("the end", seconds=20)
    jax.distributed.shutdown()
