"""Tests of jaxtrain.report.page.shown."""

import base64
import json

import pytest

from jaxtrain.report.page.content import Content
from jaxtrain.report.page.shown import Budget, add_media
from jaxtrain.tracking import RunRecord
from tests.report.page.small import HOSTILE, logged


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return logged(tmp_path_factory.mktemp("runs"))


def shown(record, left=10**7, **options):
    content = Content("a")
    budget = Budget(left)
    add_media(content, RunRecord.read(record.path), budget, **options)
    return content, budget


def test_each_name_has_its_frames_by_step(record):
    content, _ = shown(record)
    assert list(content.media) == [
        "image:digit", "histogram:weights", "text:said", "table:words", "image:mistakes/01",
        "table:mistakes/table",
    ]  # fmt: skip
    for key in ("image:digit", "histogram:weights", "text:said", "table:words"):
        assert [frame["step"] for frame in content.media[key]] == [10, 20, 30]
    assert [section.key for section in content.sections] == ["mistakes", "media"]
    mistakes, media = (section.html for section in content.sections)
    assert "image:mistakes/01" in mistakes
    assert "mistakes/" not in media
    assert 'max="2" value="2" aria-label="step of digit"' in media
    assert "<h3>Images</h3>" in media


def test_pictures_are_in_the_page_or_files(record):
    embedded = shown(record)[0].media["image:digit"][-1]["html"]
    file = next(row["file"] for row in record.media if row["name"] == "digit" and row["step"] == 30)
    found = base64.b64decode(embedded.split("base64,")[1].split('"')[0])
    assert found == (record.path / file).read_bytes()
    assert 'width="8" height="8" class="pixels"' in embedded
    linked = shown(record, linked=True)[0].media["image:digit"][-1]["html"]
    assert f'src="{file}"' in linked
    assert "base64" not in linked


def test_all_that_was_logged_is_text(record):
    content, _ = shown(record)
    told = [frame["html"] for key, frames in content.media.items() if "hist" not in key
            for frame in frames]  # fmt: skip
    told += [section.html for section in content.sections]
    assert any("&lt;img src=x" in html for html in told)
    for html in told:
        assert "<img src=x" not in html
        assert "</script>" not in html
    alt = content.media["image:digit"][0]["html"].split('alt="')[1].split('"')[0]
    assert alt.startswith("digit, step 10: &lt;/script&gt;")


def test_histograms_are_figures(record):
    content, _ = shown(record)
    assert (
        content.figures["histogram:weights:one"] == content.media["histogram:weights"][-1]["figure"]
    )
    assert content.figures["histogram:weights:all"]["data"][0]["x"] == ["10", "20", "30"]
    assert all("counts" not in frame for frame in content.media["histogram:weights"])


def test_what_has_no_room_is_the_oldest_and_is_named(record):
    whole = shown(record)[1]
    used = 10**7 - whole.left
    content, budget = shown(record, left=used - 1)
    assert len(budget.out) == 1
    (note,) = content.notes
    assert budget.out[0] in note
    steps = {key: [frame["step"] for frame in frames] for key, frames in content.media.items()}
    assert all(found[-1] == 30 for found in steps.values())
    assert sorted(found[0] for found in steps.values()).count(20) == 1
    nothing, budget = shown(record, left=0)
    assert (nothing.sections, nothing.media, nothing.figures) == ([], {}, {})
    assert nothing.notes[0].startswith("14 media are not in this page")
    assert "and 11 more" in nothing.notes[0]


def test_what_is_too_long_is_cut_and_says_so(tmp_path):
    record = logged(tmp_path, steps=[1])
    for row in record.media:
        if row["name"] == "said":
            (record.path / row["file"]).write_text("x" * 20_001)
        if row["name"] == "words":
            value = {"columns": ["n", "a"], "rows": [[n, None] for n in range(201)]}
            (record.path / row["file"]).write_text(json.dumps(value))
    content, _ = shown(record)
    text, table = (content.media[key][0]["html"] for key in ("text:said", "table:words"))
    assert "the first 20,000 of 20,001 letters; all: media/texts/said/" in text
    assert text.count("x") < 20_100
    assert "the first 200 of 201 rows; all: media/tables/words/" in table
    assert '<td class="number">199</td>' in table
    assert '<td class="number">200</td>' not in table
    assert '<td class="number">–</td>' in table


def test_broken_files_say_so_and_gone_ones_are_none(tmp_path):
    record = logged(tmp_path, steps=[1])
    spoilt = {"digit": b"GIF89a", "weights": b"[]", "words": b'{"columns": [1], "rows": [[1, 2]]}'}
    for row in record.media:
        if row["name"] in spoilt:
            (record.path / row["file"]).write_bytes(spoilt[row["name"]])
        if row["name"] == "said":
            (record.path / row["file"]).unlink()
    content = Content("a")
    add_media(content, record, Budget(10**6))  # which was read while the file was there
    assert "is no PNG" in content.media["image:digit"][0]["html"]
    assert "can&#x27;t be read: expected columns" in content.media["table:words"][0]["html"]
    assert "text:said" not in content.media
    assert "histogram:weights" not in content.media


def test_names_with_a_slash_or_hostile_captions_lead_nowhere(record):
    linked = shown(record, linked=True)[0].media["image:mistakes/01"][0]["html"]
    assert 'src="media/images/mistakes/01/30-' in linked
    assert HOSTILE not in linked
