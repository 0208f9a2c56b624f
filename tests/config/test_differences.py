from jaxtrain.config import MISSING, ConfigDict, check, diff, non_defaults


def test_diff_names_every_key_that_differs():
    a = ConfigDict({"x": 1, "s": {"y": [1, 2], "gone": 0}, "swap": {"in": 1}})
    b = {"x": 1, "s": {"y": [1, 3], "new": None}, "swap": 5}
    assert diff(a, b) == [
        ("s.y", (1, 2), (1, 3)),
        ("s.gone", 0, MISSING),
        ("s.new", MISSING, None),
        ("swap", {"in": 1}, 5),
    ]
    assert repr(MISSING) == "(not set)"


def test_diff_tells_true_from_one_and_equal_trees_apart():
    assert diff({"a": True}, {"a": 1}) == [("a", True, 1)]
    assert diff({"a": [1]}, {"a": (1,)}) == []


def test_diff_of_checked_configs(registries):
    a, b = (check({"train": {"epochs": epochs}}, registries) for epochs in (1, 2))
    assert diff(a, b) == [("train.epochs", 1, 2)]


def test_differences_from_the_defaults_of_the_named_components(registries):
    assert non_defaults(check({}, registries)) == []
    config = check(
        {
            "seed": 3,
            "data": {"name": "mnist", "root": "data"},
            "model": {"name": "cnn", "channels": [32, 64], "dropout": 0.5},
            "hooks": {
                "log": {"name": "jsonl", "every": 5},
                "jsonl": {"every": 7},
                "console": None,
            },
        },
        registries,
    )
    assert non_defaults(config) == [
        ("seed", 0, 3),
        ("data.name", "digits", "mnist"),
        ("data.root", MISSING, "data"),
        ("model.name", "mlp", "cnn"),
        ("model.dropout", 0.0, 0.5),
        ("hooks.console", "console", None),
        ("hooks.jsonl.every", 100, 7),
        ("hooks.log.name", MISSING, "jsonl"),
        ("hooks.log.every", 100, 5),
    ]


def test_a_section_that_is_there_at_its_defaults_is_a_difference(registries):
    """`sam: {}` trains otherwise than no `sam` does."""
    config = check({"train": {"sam": {}}, "optimizer": {"lookahead": {}}}, registries)
    assert non_defaults(config) == [
        ("optimizer.lookahead", None, {"every": 5, "share": 0.5}),
        ("train.sam", None, {"radius": 0.05, "adaptive": False}),
    ]
    other = check({"train": {"sam": {"radius": 0.1}}}, registries)
    assert non_defaults(other) == [("train.sam.radius", 0.05, 0.1)]
