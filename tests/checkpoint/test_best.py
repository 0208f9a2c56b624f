from jaxtrain.checkpoint.best import BestValues
from jaxtrain.checkpoint.committer import Committer
from jaxtrain.checkpoint.together import ALONE


def values(tmp_path, **options):
    settings = {"monitor": "loss", "mode": "min", "keep_best": 2, **options}
    return BestValues(Committer(tmp_path, ALONE, keep=1, **settings), **settings)


def test_among_the_best_is_who_is_better_than_the_last_of_them(tmp_path):
    best = values(tmp_path)
    assert best.improved_by(9.0)
    assert not best.improved_by(None)
    best.note(0.5)
    best.note(0.3)
    assert [best.improved_by(value) for value in (0.4, 0.5, 0.6)] == [True, False, False]
    best.note(0.2)
    assert not best.improved_by(0.3)


def test_what_is_large_may_be_good(tmp_path):
    best = values(tmp_path, mode="max", keep_best=1)
    best.note(0.5)
    assert [best.improved_by(value) for value in (0.4, 0.6)] == [False, True]


def test_what_was_forgotten_is_looked_up(tmp_path, make_store):
    store = make_store("checkpoints", monitor="loss")
    store.save({"w": 1}, iteration=1, meta={"metrics": {"loss": 0.5}})
    best = values(tmp_path / "checkpoints", keep_best=1)
    assert [best.improved_by(value) for value in (0.4, 0.6)] == [True, False]
    best.note(0.1)
    assert not best.improved_by(0.4)
    best.forget()
    assert best.improved_by(0.4)
