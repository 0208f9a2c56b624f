import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.metrics import OneVsRest

on_each = pytest.mark.parametrize("xp", [np, jnp])


def read(outputs, labels, *, xp=np, mask=None, **options):
    output = {"outputs": np.asarray(outputs), "labels": np.asarray(labels)}
    if mask is not None:
        output["mask"] = np.asarray(mask)
    found = OneVsRest(**options).read_scores(output, xp=xp)
    assert {part.shape for part in found} == {found.scores.shape}
    return type(found)(*(np.asarray(part) for part in found))


@on_each
def test_two_classes_have_one_column_whatever_the_form(xp):
    scores = np.float32([0.5, -1.0, 3.0])
    both = np.stack([np.float32([1.0, 1.0, -1.0]), scores + np.float32([1.0, 1.0, -1.0])], axis=1)
    for outputs in (scores, scores[:, None], both):
        found = read(outputs, [1, 0, 1], xp=xp)
        assert found.scores.tolist() == [[0.5], [-1.0], [3.0]]
        assert found.truth.tolist() == [[True], [False], [True]]
        assert found.real.all()
        assert found.sound.all()


@on_each
def test_more_classes_have_one_each(xp):
    found = read(
        np.float32([[9.0, 0.0, 0.0], [0.0, 1.0, 2.0]]), np.uint8([0, 2]), xp=xp, num_classes=3
    )
    assert found.truth.tolist() == [[True, False, False], [False, False, True]]
    assert found.scores.argmax(axis=1).tolist() == [0, 2]
    assert found.scores[0, 0] == pytest.approx(9 - np.log(2), rel=1e-6)


@on_each
@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_labels_of_several_questions(xp, dtype):
    labels = np.array([[1, 0], [1, 1], [0, 0]], dtype)
    outputs = np.float32([[1, 2], [3, 4], [5, 6]])
    found = read(outputs, labels, xp=xp, multilabel=True, mask=[1, 0, 1])
    assert found.scores.tolist() == outputs.tolist()
    assert found.truth.tolist() == labels.astype(bool).tolist()
    assert found.real.tolist() == [[True] * 2, [False] * 2, [True] * 2]
    assert read(outputs, labels, xp=xp, multilabel=True, mask=np.eye(3, 2)).real.sum() == 2
    if dtype != "bool":
        unknown = np.where(labels == 1, np.asarray(-1, dtype), labels)
        found = read(outputs, unknown, xp=xp, multilabel=True, ignore_label=-1)
        assert found.real.tolist() == (labels == 0).tolist()
        assert not read(outputs, unknown, xp=xp, multilabel=True).sound.all()


@on_each
def test_what_can_not_be_ranked_is_told(xp):
    nan = np.nan
    assert read([0.5, nan], [0, 1], xp=xp).sound.tolist() == [[True], [False]]
    assert read([[0.5, 1], [nan, 1]], [0, 1], xp=xp).sound.tolist() == [[True], [False]]
    probabilities = {"scores": "probabilities", "xp": xp}
    for wrong in (-0.01, 1.01, nan, np.inf):
        found = read([0.0, 1.0, wrong], [0, 1, 0], **probabilities)
        assert found.sound.tolist() == [[True], [True], [False]]
        found = read([[0.0, 1.0], [wrong, 0.5]], [0, 1], **probabilities)
        assert found.sound.tolist() == [[True], [False]]
        found = read([[0.2, 0.3, 0.5], [wrong, 0.5, 0]], [0, 1], num_classes=3, **probabilities)
        assert found.sound.tolist() == [[True] * 3, [False] * 3]
        found = read([[0.2, 0.3], [wrong, 0.5]], np.eye(2), multilabel=True, **probabilities)
        assert found.sound.tolist() == [[True, True], [False, True]]
    for wrong in (-1, 2):
        assert read([0.5, 0.5], [1, wrong], xp=xp).sound.tolist() == [[True], [False]]
    found = read(np.eye(3)[:2], [2, 3], xp=xp, num_classes=3)
    assert found.sound.tolist() == [[True] * 3, [False] * 3]


@on_each
def test_probabilities_are_ranked_as_they_are(xp):
    found = read([[0.25, 0.75], [1.0, 0.0]], [1, 0], xp=xp, scores="probabilities")
    assert found.scores.tolist() == [[0.75], [0.0]]
    rows = [[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]]
    found = read(rows, [1, 0], xp=xp, num_classes=3, scores="probabilities")
    assert found.scores.tolist() == rows


@on_each
def test_tokens_and_heads_are_read_by_their_paths(xp):
    output = {
        "outputs": {"text": np.zeros((2, 3, 4), np.float32)},
        "labels": {"text": np.array([[0, 1, -100], [2, 3, 3]])},
        "real": np.array([[1, 1, 1], [1, 1, 0]]),
    }
    reads = OneVsRest(
        num_classes=4,
        outputs="outputs.text",
        labels="labels.text",
        mask="real",
        ignore_label=-100,
    )
    found = reads.read_scores(output, xp=xp)
    assert found.scores.shape == (2, 3, 4)
    assert np.asarray(found.real[..., 0]).tolist() == [[True, True, False]] * 2


def test_on_the_host_no_digit_is_lost():
    assert read(np.array([1 + 1e-12, 1.0]), [1, 0]).scores.ravel().tolist() == [1 + 1e-12, 1.0]
    with pytest.raises(DataError, match="expected an array of numbers"):
        read(["a", "b"], [0, 1])


@pytest.mark.parametrize(
    ("outputs", "labels", "options", "match"),
    [
        ((4, 3), (4,), {}, r"of 2 classes wants .* outputs \(4, 3\), labels \(4,\)"),
        ((4, 2), (4,), {"num_classes": 3}, "with a further axis of 3"),
        ((4,), (4,), {"num_classes": 3}, "with a further axis of 3"),
        ((4, 3), (4,), {"num_classes": 3, "multilabel": True}, r"\[B, ..., 3\] of one shape"),
        ((4, 2), (4, 2), {"num_classes": 3, "multilabel": True}, r"\[B, ..., 3\] of one shape"),
        ((4,), (5,), {}, r"labels \(5,\)"),
        ((), (), {}, r"outputs \(\), labels \(\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(outputs, labels, options, match):
    with pytest.raises(DataError, match=match):
        read(np.ones(outputs, np.float32), np.ones(labels, int), **options)


def test_labels_that_are_no_whole_numbers_are_refused():
    with pytest.raises(DataError, match="OneVsRest wants labels that are whole numbers"):
        read(np.ones(2), np.ones(2, np.float32))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num_classes": 1}, "num_classes: expected at least 2, found 1"),
        ({"num_classes": 0, "multilabel": True}, "num_classes: expected at least 1, found 0"),
        ({"average": "micro"}, "average: expected one of 'macro', 'weighted', found 'micro'"),
        ({"scores": "softmax"}, "scores: expected one of 'logits', 'probabilities'"),
    ],
)
def test_wrong_options_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        OneVsRest(**options)
    assert OneVsRest(num_classes=1, multilabel=True).columns == 1
    assert OneVsRest(num_classes=2, multilabel=True).columns == 2


@on_each
def test_the_average(xp):
    each, positives = xp.asarray([0.5, 1.0, np.nan]), xp.asarray([3.0, 1.0, 0.0])

    def mean(average, each=each, positives=positives, **options):
        return float(OneVsRest(average=average, **options).mean(each, positives, xp=xp))

    assert np.isnan(mean("macro", num_classes=3))
    assert mean("weighted", num_classes=3) == pytest.approx((3 * 0.5 + 1.0) / 4)
    assert np.isnan(mean("weighted", positives=0 * positives, num_classes=3))
    assert mean("weighted", each[:1], 0 * positives[:1]) == 0.5  # of two classes it is that of 1
