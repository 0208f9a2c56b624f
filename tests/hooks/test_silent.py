"""Hooks that tell, in a process that tells nothing: on the same events, and never called."""

from __future__ import annotations

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks import CSV, HOOKS, JSONL, Console, Silent, TimeLimit, only_tells


class Loud:
    tells = True

    def __init__(self):
        self.seen = []

    def attach(self, engine):
        event = Events.ITERATION_COMPLETED(every=3)
        engine.attach_handler(event, self.see, "an argument", priority=2, provides=("noise",))
        engine.attach_handler(Events.EPOCH_COMPLETED, self.end, needs=("noise",), more=1)
        engine.add_metrics({})

    def see(self, engine, argument):
        self.seen.append(engine.state.iteration)

    def end(self, more):
        self.seen.append("end")


def planned(engine):
    return [(each.first, each.length) for each in engine.plan.dispatches(0, 8)]


def test_a_silent_hook_sees_nothing_and_its_dispatches_end_where_they_would():
    loud, silent, alone = (Engine(lambda engine, batch: batch) for _ in range(3))
    first, second = Loud(), Loud()
    loud.attach(first)
    silent.attach(Silent(second), "Loud")
    assert planned(silent) == planned(loud)
    assert planned(silent) != planned(alone)
    assert silent.provided == loud.provided == {"noise"}
    for engine in (loud, silent):
        engine.run([1, 2, 3, 4])
    assert first.seen == [3, "end"]
    assert second.seen == []


def test_what_only_tells_says_so(tmp_path):
    assert all(map(only_tells, (JSONL(tmp_path), CSV(tmp_path), Console())))
    assert not only_tells(TimeLimit(limit=1))
    told = {name for name in HOOKS.names() if only_tells(HOOKS[name])}
    # A new hook has to be thought about: does it write or print, and nothing else?
    assert told == {"console", "csv", "jsonl", "profiler", "progress", "system", "tensorboard"}
    assert not any(getattr(HOOKS[name], "decides", False) for name in told)
