from jaxtrain.config.yaml_form import read
from jaxtrain.run.beginning.classes import WEIGHTS, classes_fact, uneven


def test_classes_are_counted_and_the_most_are_not_all_shown():
    fact = classes_fact({"a\x1b": 1200, "b": 3}, "why")
    assert (fact.what, fact.because) == ("classes", "why")
    assert fact.taken_for == "2: 'a\\x1b' (1,200), b (3)"
    many = classes_fact({str(n): n for n in range(100)}, "")
    assert many.taken_for.startswith("100: 0 (0), ")
    assert many.taken_for.endswith(", 11 (11), and 88 more")


def test_uneven_classes_are_named_with_the_line_that_helps():
    assert uneven({"a": 29, "b": 10}) == ([], False)
    lines, is_uneven = uneven({"a": 30, "b": 10})
    assert is_uneven
    assert "30 of a, 10 of b" in lines[0]
    assert WEIGHTS in lines[0]
    assert read(WEIGHTS, "x")[0] == {"loss": {"class_weights": "balanced"}}
    assert uneven({}) == ([], False)


def test_classes_too_small_for_every_set():
    lines, is_uneven = uneven({"a": 4, "b": 3, "c": 3})
    assert not is_uneven
    assert "2 classes have fewer than 4 rows (b, c)" in lines[0]
