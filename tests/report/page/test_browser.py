"""The pages in a browser: what is drawn, what can be clicked, and that nothing leaves the page."""

from __future__ import annotations

import json
import shutil
import threading

import pytest

from jaxtrain import tracking
from jaxtrain.files.lock import NAME as LOCK
from jaxtrain.report import PageServer, write_comparison, write_page
from jaxtrain.report.page.sweep_page import write_sweep_page
from jaxtrain.tracking import RunRecord
from tests.report.page.small import SUMMARY, epochs, logged, written

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="no playwright: pip install playwright"
)
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), ""
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason="no chromium on the path"),
]

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Opens a page, and sees at the end that it was quiet, and asked nobody but its own origin."""
    contexts, wrong = [], []

    def opened(url, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        origin = url if url.startswith("file:") else url.rstrip("/")

        def asked(request):
            if not request.url.startswith((origin, "data:", "blob:")):
                wrong.append(f"asked {request.url}")

        def said(message):
            if message.type == "error":
                wrong.append(f"said {message.text}")

        page.on("request", asked)
        page.on("console", said)
        page.on("pageerror", lambda error: wrong.append(f"raised {error}"))
        page.on("dialog", lambda dialog: wrong.append(f"asked a person: {dialog.message}"))
        page.goto(url)
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    record = logged(tmp_path_factory.mktemp("runs"))
    summary = {**SUMMARY, "test_confusion_matrix": [[8, 2], [1, 9]]}
    (record.path / "metrics.json").write_text(json.dumps(summary))
    with (record.path / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in epochs())
    return RunRecord.read(record.path)


def plot(page, key):
    """What plotly draws at a place, once that is on the screen."""
    page.evaluate("key => place(key).scrollIntoView()", key)
    page.wait_for_function("key => place(key).layout !== undefined", arg=key)
    return page.evaluate(
        """key => {
          const { data, layout } = place(key);
          const { type, range, title } = layout.yaxis ?? {};
          const x = { title: layout.xaxis?.title?.text, range: layout.xaxis?.range };
          return { data: data.map(({ x, y, z, name, opacity, line, marker }) =>
            ({ x, y, z, name, opacity, colour: line?.color ?? marker?.color })),
            x, y: { type, range } };
        }""",
        key,
    )


def with_places(page):
    page.evaluate(
        "window.place = key => [...document.querySelectorAll('[data-plot]')]"
        ".find(each => each.dataset.plot === key)"
    )
    return page


def test_a_run_is_drawn_and_can_be_explored(run, opened, tmp_path):
    file = write_page(run, tmp_path / "page.html")
    page = with_places(opened(file.as_uri(), viewport={"width": 1280, "height": 900}))
    key = "curve:step:loss"
    drawn = plot(page, key)
    names = [trace.get("name") for trace in drawn["data"]]
    assert names[:3] == ["single steps", "training", "validation"]
    validation = drawn["data"][2]
    assert (validation["x"], validation["y"]) == ([10, 20, 30, 40], [0.5, 0.5, 0.25, 0.5])
    assert (drawn["data"][3]["x"], drawn["data"][3]["y"]) == ([30], [0.25])  # the best epoch
    assert drawn["x"]["title"] == "iteration"
    panel = page.locator(f".panel[data-figure='{key}']")
    assert panel.locator(".note").inner_text() == "○ best epoch (3): 0.25"

    # over epochs
    page.select_option("#over", "epoch")
    drawn = plot(page, key)
    assert drawn["data"][2]["x"] == [1, 2, 3, 4]
    assert drawn["data"][0]["x"][-4:] == [0.5, 1.5, 2.5, 3.5]
    assert drawn["x"]["title"] == "epoch"
    page.select_option("#over", "iteration")

    # smoothed, the curve itself faint behind
    page.locator("#smoothing").fill("0.5")
    drawn = plot(page, key)
    faint, smooth = (t for t in drawn["data"] if t.get("name") == "validation")
    assert faint["opacity"] < 0.5
    assert faint["y"] == [0.5, 0.5, 0.25, 0.5]
    # weights 1/2, 1/4, ... of what was before, over their sum
    assert smooth["y"] == pytest.approx([0.5, 0.5, 0.25 * 4 / 7 + 0.5 * 3 / 7,
                                         (0.5 * 8 + 0.25 * 4 + 0.5 * 3) / 15])  # fmt: skip
    assert page.locator("#smoothed").inner_text() == "0.5"
    page.locator("#smoothing").fill("0")
    assert len(plot(page, key)["data"]) == 4

    # a logarithm, by the keyboard
    button = panel.get_by_role("button", name="log")
    button.focus()
    page.keyboard.press("Enter")
    assert plot(page, key)["y"]["type"] == "log"
    assert button.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="log axes").click()
    assert plot(page, "curve:step:learning_rate")["y"]["type"] == "log"
    page.get_by_role("button", name="log axes").click()
    assert plot(page, key)["y"]["type"] == "linear"

    # zoomed with the mouse, and back
    before = plot(page, key)["x"]["range"]
    box = panel.locator(".nsewdrag").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=4)
    page.mouse.up()
    zoomed = plot(page, key)["x"]["range"]
    assert before[0] < zoomed[0] < zoomed[1] < before[1]
    page.locator("#smoothing").fill("0.2")
    assert plot(page, key)["x"]["range"] == zoomed  # a look that is kept
    page.locator("#smoothing").fill("0")
    panel.get_by_role("button", name="reset zoom").click()
    assert plot(page, key)["x"]["range"] == pytest.approx(before)

    # figures of other kinds
    right, wrong = plot(page, "confusion:test_confusion_matrix")["data"]
    assert (right["z"], wrong["z"]) == ([[0.8, None], [None, 0.9]], [[None, 0.2], [0.1, None]])

    # media, and their steps
    digit = page.locator("[data-media='image:digit']")
    assert digit.locator("output").inner_text() == "step 30 (3 of 3)"
    shown = digit.locator("img").get_attribute("src")
    digit.locator("input").fill("0")
    assert digit.locator("output").inner_text() == "step 10 (1 of 3)"
    assert digit.locator("img").get_attribute("src") != shown
    assert digit.locator("img").evaluate("image => image.naturalWidth") == 8
    words = page.locator("[data-media='table:words']")
    words.locator("input").fill("1")
    assert words.locator("tbody td").last.inner_text() == "20"
    weights = page.locator("[data-media='histogram:weights']")
    counts = plot(page, "histogram:weights:one")["data"][0]["y"]
    weights.locator("input").fill("0")
    other = plot(page, "histogram:weights:one")["data"][0]
    assert sum(other["y"]) == sum(counts) == 50
    assert max(other["x"]) < 10

    # what was logged as text is text
    assert page.locator("img[onerror]").count() == 0
    assert page.evaluate("document.querySelectorAll('main script').length") == 0
    assert "onerror=alert(1)" in page.locator("[data-media='text:said'] pre").inner_text()


def test_a_script_that_got_into_the_page_does_not_run(run, browser, tmp_path):
    file = write_page(run, tmp_path / "page.html")
    bad = "<script>window.bad = 1</script><img src='data:,' onerror='window.bad = 2'>"
    file.write_text(file.read_text().replace("<main>", f"<main>{bad}"))
    page = browser.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    assert page.evaluate("window.bad === undefined")
    assert sum("Content Security Policy" in text for text in said) == 2
    page.close()


def test_a_phone_in_the_dark(run, opened, tmp_path):
    file = write_page(run, tmp_path / "page.html")
    page = with_places(opened(file.as_uri(), color_scheme="dark", **PHONE))
    page.evaluate("dispatchEvent(new Event('beforeprint'))")  # draws all of them
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    body = "getComputedStyle(document.body)"
    assert page.evaluate(f"{body}.backgroundColor") == "rgb(13, 18, 23)"
    assert page.evaluate(f"{body}.color") == "rgb(229, 234, 240)"
    key = "curve:step:loss"
    assert [trace["colour"] for trace in plot(page, key)["data"][1:3]] == ["#56b4e9", "#e69f00"]
    for scheme in ("light", "dark"):  # as a system does in the evening
        page.emulate_media(color_scheme=scheme)
        told = "theme => document.documentElement.dataset.theme === theme"
        page.wait_for_function(told, arg=scheme)
    page.get_by_role("button", name="light").click()
    assert page.evaluate(f"{body}.backgroundColor") == "rgb(244, 246, 248)"
    assert [trace["colour"] for trace in plot(page, key)["data"][1:3]] == ["#0072b2", "#d55e00"]
    assert page.locator("main img:not([alt])").count() == 0
    assert page.locator("[role=img]:not([aria-label])").count() == 0


def test_a_comparison(opened, tmp_path):
    records = [
        written(
            tmp_path / "p" / f"run{number}", rows=epochs(scale=float(number)),
            summary={**SUMMARY, "test_loss": 1.0 / number, "final_train_loss": 1.0 * number},
            config={"lr": 10.0**-number},
        )
        for number in (1, 2, 3, 4)
    ]  # fmt: skip
    file = write_comparison(records, tmp_path / "comparison.html")
    page = with_places(opened(file.as_uri(), viewport={"width": 1280, "height": 900}))
    key = "curve:step:val/loss"
    drawn = plot(page, key)["data"]
    assert [trace["name"] for trace in drawn] == ["run1", "run2", "run3", "run4"]
    assert [trace["y"][2] for trace in drawn] == [0.25, 0.5, 0.75, 1.0]
    assert len({trace["colour"] for trace in drawn}) == 4
    page.get_by_role("checkbox", name="run2").uncheck()
    assert [trace["name"] for trace in plot(page, key)["data"]] == ["run1", "run3", "run4"]
    page.get_by_role("checkbox", name="run2").check()
    assert len(plot(page, key)["data"]) == 4
    first = page.locator("#runs tbody tr").first
    assert "run1" in first.inner_text()
    page.locator("#runs").get_by_role("button", name="test loss").click()
    assert "run4" in first.inner_text()
    assert "★" in first.locator(".best").first.evaluate(
        "e => getComputedStyle(e, '::before').content"
    )
    page.locator("#runs").get_by_role("button", name="test loss").click()
    assert "run1" in first.inner_text()
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    assert plot(page, "sweep:lr")["data"][1]["y"] == [0.25, 0.5, 0.75, 1.0]
    page.evaluate("document.querySelector('[data-plot=sweep]').scrollIntoView()")
    page.wait_for_selector("[data-plot=sweep] canvas", state="attached")
    # Not plotly's word that there is no WebGL, for which it takes a policy that forbids shaders.
    page.wait_for_selector("[data-plot=sweep] .axis-title", state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") == 1280
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.locator("#runs .scroll").evaluate("each => each.scrollWidth") > 390
    page.wait_for_function("() => document.documentElement.scrollWidth === 390", timeout=10_000)


def test_a_run_that_goes_on_is_followed(opened, tmp_path):
    run = tracking.run("demo", "live", {"lr": 1.0}, root=tmp_path)
    for step in range(1, 6):
        run.log({"loss": 1.0 / step}, step=step)
    with PageServer(run.directory, seconds=0.05) as server:
        serve = {"target": server.serve_forever, "kwargs": {"poll_interval": 0.01}}
        threading.Thread(**serve, daemon=True).start()
        page = with_places(opened(server.url, viewport={"width": 1000, "height": 900}))
        news = page.locator("#news")
        told = "said => document.getElementById('news').textContent.includes(said)"
        key = "curve:step:loss"
        assert plot(page, key)["data"][0]["y"] == [1.0, 0.5, 0.3333333, 0.25, 0.2]
        assert news.inner_text() == "The run goes on; this page follows it."
        page.locator("#smoothing").fill("0.5")
        page.evaluate("key => Plotly.relayout(place(key), {'xaxis.range': [2, 4]})", key)

        # what is new comes by itself; zoom and smoothing stay
        run.log({"loss": 0.1, "margin": 2.0}, step=6)
        run.log_image("digit", [[0.0, 1.0]], 6)
        page.wait_for_function("key => place(key).data[0].y.length === 6", arg=key)
        drawn = plot(page, key)
        assert drawn["x"]["range"] == [2, 4]
        assert len(drawn["data"]) == 2  # faint and smooth
        assert plot(page, "curve:step:margin")["data"][0]["y"] == [2.0]
        page.wait_for_function("() => document.querySelector('#media img')?.naturalWidth === 2")
        assert page.locator("nav a").all_inner_texts() == [
            "Curves", "Metrics", "Media", "Config", "Environment",
        ]  # fmt: skip

        # killed: what it says of itself stays "running", but nobody holds it
        lock = run.directory / LOCK
        holder = lock.read_text()
        lock.write_text("")
        page.wait_for_function(told, arg="was killed")
        assert page.locator(".badge").inner_text() == "killed"
        # gone on
        lock.write_text(holder)
        page.wait_for_function(told, arg="goes on; it was killed")
        assert news.inner_text() == "The run goes on; it was killed."
        # over
        run.finish()
        page.wait_for_function(told, arg="is over")
        assert page.locator(".badge").inner_text() == "completed"
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        page.close()
        server.shutdown()


def test_a_sweep_is_drawn(opened, tmp_path):
    rows = [
        {
            "member": m,
            "value": None if m == 5 else 1 / (m + 1),
            "status": "failed" if m == 5 else "finished",
            "best_epoch": None if m == 5 else 2,
            "epochs": 2,
            "values": {"optimizer.learning_rate": 10.0 ** -(m % 4), "model.hidden": [8 * (m % 2)]},
        }
        for m in range(40)
    ]
    history = [
        {
            "epoch": e,
            "members": [*range(40)],
            "val/loss": [1 / (m + e) if m else None for m in range(40)],
        }
        for e in (1, 2)
    ]
    shares = {"optimizer.learning_rate": 0.75, "model.hidden": 0.25}
    file = write_sweep_page(
        tmp_path / "sweep.html", rows, history, "val/loss", "min", "a: <b>", "a sweep", shares
    )
    page = with_places(opened(file.as_uri(), viewport={"width": 1280, "height": 900}))
    assert "the best is member 39" in page.locator("header, main").first.inner_text()
    for key in page.evaluate(
        "[...document.querySelectorAll('[data-plot]')].map(e => e.dataset.plot)"
    ):
        plot(page, key)
    assert page.evaluate("place('sweep').data[0].dimensions.map(each => each.label)") == [
        "optimizer.learning_rate",
        "model.hidden",
        "val/loss",
    ]
    assert page.evaluate("place('sweep').querySelectorAll('.axis-title').length") == 3
    points = plot(page, "sweep:optimizer.learning_rate")["data"]
    assert max(len(trace["y"]) for trace in points) == 39  # one has no value
    assert plot(page, "importance")["data"][0]["x"] == [0.25, 0.75]
    first = page.locator("#members tbody tr").first
    assert first.locator("td").nth(1).inner_text() == "39"
    page.locator("#members").get_by_role("button", name="member").click()
    assert first.locator("td").nth(1).inner_text() in ("0", "39")
    assert page.evaluate("document.documentElement.scrollWidth") == 1280
