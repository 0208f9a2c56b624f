// The page's own script: it reads the page's JSON, has plotly draw it, and follows a run that goes on.
// Whatever a run has logged is a text here, or HTML that Python has escaped.
"use strict";

const root = document.documentElement;
const content = JSON.parse(document.getElementById("content").textContent);
const state = { smoothing: 0, over: "iteration", log: new Map(), hidden: new Set(), at: new Map() };
const drawn = new Set(); // the places that have been on the screen
const dark = matchMedia("(prefers-color-scheme: dark)");
const coarse = matchMedia("(pointer: coarse)").matches;

// ---- plotly: in the page as gzip, so that it is 2 MB and not 5 -----------------------------------

async function unpackPlotly() {
  const packed = atob(document.getElementById("plotly").textContent);
  const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

// ---- theme ---------------------------------------------------------------------------------------

function setTheme(theme) {
  root.dataset.theme = theme;
  const button = document.getElementById("theme");
  button.textContent = theme === "dark" ? "☀ light" : "☾ dark";
  redraw();
}

// `var(--name)` in a figure is a colour of the style sheet.
function coloured(value, style = getComputedStyle(root)) {
  if (typeof value === "string") {
    const name = /^var\((--\w+)\)$/.exec(value);
    return name ? style.getPropertyValue(name[1]).trim() : value;
  }
  if (Array.isArray(value)) return value.map((each) => coloured(each, style));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each, style)]));
}

// ---- figures -------------------------------------------------------------------------------------

// An exponential mean, corrected for its beginning; a gap stays one.
function smooth(values, weight) {
  let sum = 0, known = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    known = weight * known + (1 - weight);
    return sum / known;
  });
}

function curveTraces(curve, smooths) {
  const x = state.over === "epoch" && curve.epochs.length ? curve.epochs : curve.x;
  const raw = {
    type: "scatter", x, y: curve.y, name: curve.label,
    mode: curve.points ? "lines+markers" : "lines",
    line: { color: curve.colour, width: curve.faint ? 1.25 : 2, dash: curve.dash },
    marker: { size: 5 },
  };
  if (!smooths || state.smoothing === 0) return [raw];
  const faint = { ...raw, mode: "lines", opacity: 0.28, hoverinfo: "skip", showlegend: false };
  return [faint, { ...raw, mode: "lines", y: smooth(curve.y, state.smoothing) }];
}

function curvesFigure(figure, key) {
  const isLog = state.log.get(key) ?? false;
  const curves = figure.curves.filter((curve) => !state.hidden.has(curve.run));
  const data = curves.flatMap((curve) => curveTraces(curve, figure.smooths));
  const shapes = [];
  if (figure.point) {
    const [iteration, epoch, y] = figure.point;
    const x = state.over === "epoch" ? epoch : iteration;
    shapes.push({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, layer: "below",
      line: { color: "var(--quiet)", width: 1, dash: "dot" } });
    data.push({ type: "scatter", mode: "markers", x: [x], y: [y], hoverinfo: "skip", showlegend: false,
      marker: { size: 10, color: "var(--paper)", line: { color: "var(--c1)", width: 2 } } });
  }
  const below = isLog ? curves.flatMap((curve) => curve.y).filter((y) => y !== null && y <= 0).length : 0;
  const byEpoch = state.over === "epoch" && curves.some((curve) => curve.epochs.length);
  const legend = data.filter((trace) => trace.showlegend !== false).length;
  const layout = {
    showlegend: legend > 1 && legend <= 8,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
    margin: { l: 8, r: 12, t: 8, b: 8 },
    hovermode: curves.length > 12 ? "closest" : "x unified",
    shapes,
    xaxis: { title: { text: figure.axis || (byEpoch ? "epoch" : "iteration"), standoff: 6 } },
    yaxis: {
      type: isLog ? "log" : "linear",
      tickformat: figure.share ? "~%" : undefined,
      hoverformat: figure.share ? ".2%" : ".5~g",
      title: figure.unit ? { text: figure.unit, standoff: 6 } : undefined,
      nticks: 6,
      uirevision: `${isLog}`,
    },
  };
  const best = figure.point ? `○ ${figure.point[3]}` : "";
  const notes = [best, figure.note, below ? `not on a logarithm's axis: ${below} values of 0 or below` : ""];
  return { data, layout, note: notes.filter(Boolean).join("; ") };
}

function built(figure, key) {
  const { data, layout, note } = figure.kind === "curves"
    ? curvesFigure(figure, key) : { note: "", ...figure };
  const axis = { gridcolor: "var(--line)", linecolor: "var(--line)", zeroline: false, automargin: true,
    exponentformat: "power" };
  const common = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "var(--quiet)" },
    hoverlabel: { bgcolor: "var(--paper)", bordercolor: "var(--line)", font: { color: "var(--ink)" } },
    dragmode: coarse ? false : "zoom",
    uirevision: `${key} ${state.over}`,
    autosize: true,
  };
  const full = { ...common, ...layout,
    xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis } };
  return { data: coloured(data), layout: coloured(full), note };
}

function draw(place) {
  const figure = content.figures[place.dataset.plot];
  if (!figure || !window.Plotly) return;
  const { data, layout, note } = built(figure, place.dataset.plot);
  if (figure.width) {
    [place.style.minWidth, place.style.maxWidth] = [`${figure.width}px`, `${1.5 * figure.width}px`];
  }
  if (layout.height) place.style.height = `${layout.height}px`;
  Plotly.react(place, data, layout, { displayModeBar: false, responsive: true });
  const said = place.closest(".panel, .medium").querySelector(".note:not(.step)");
  if (said) [said.textContent, said.hidden] = [note, !note];
}

function redraw() {
  for (const place of drawn) if (place.isConnected) draw(place);
}

// A figure is drawn when it comes near the screen: a page of a hundred opens as fast as one of two.
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    drawn.add(target);
    draw(target);
  }
}, { rootMargin: "400px" });

function watchFigures(part) {
  for (const panel of part.querySelectorAll(".panel")) {
    const place = panel.querySelector(".plot");
    if (place.dataset.plot) continue;
    place.dataset.plot = panel.dataset.figure;
  }
  for (const place of part.querySelectorAll("[data-plot]")) if (!drawn.has(place)) seen.observe(place);
}

// ---- media ---------------------------------------------------------------------------------------

function showFrame(medium) {
  const key = medium.dataset.media;
  const frames = content.media[key];
  if (!frames) return;
  const at = Math.min(state.at.get(key) ?? frames.length - 1, frames.length - 1);
  const frame = frames[at];
  const slider = medium.querySelector(".steps input");
  const told = `step ${frame.step}`;
  if (slider) {
    slider.max = frames.length - 1;
    slider.value = at;
    slider.setAttribute("aria-valuetext", told);
    medium.querySelector("output").textContent = `${told} (${at + 1} of ${frames.length})`;
  }
  const step = medium.querySelector(".step");
  if (step) step.textContent = told;
  if (frame.figure) {
    content.figures[`${key}:one`] = frame.figure;
    const place = [...medium.querySelectorAll("[data-plot]")].at(-1);
    place.setAttribute("aria-label", frame.said);
    if (drawn.has(place)) draw(place);
  } else if (medium.dataset.shown !== frame.html) {
    medium.querySelector(".frame").innerHTML = frame.html;
    medium.dataset.shown = frame.html.length > 1000 ? "" : frame.html;
  }
}

// ---- what can be clicked -------------------------------------------------------------------------

function sortTable(button) {
  const head = button.closest("th");
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const cell = (row) => row.children[head.cellIndex];
  const text = (row) => cell(row)?.dataset.value ?? cell(row)?.textContent.trim() ?? "";
  const number = (row) => Number.parseFloat(text(row).replaceAll(",", ""));
  const body = head.closest("table").tBodies[0];
  const order = [...body.rows].sort((a, b) => {
    const [x, y] = [number(a), number(b)];
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1; // no number: last
    const difference = Number.isNaN(x) ? text(a).localeCompare(text(b)) : x - y;
    return up ? difference : -difference;
  });
  body.append(...order);
}

function press(button, is) {
  button.setAttribute("aria-pressed", `${is}`);
  return is;
}

const deeds = {
  log(button) {
    const place = button.closest(".panel").querySelector(".plot");
    const is = press(button, button.getAttribute("aria-pressed") !== "true");
    state.log.set(place.dataset.plot, is);
    draw(place);
  },
  reset(button) {
    const place = button.closest(".panel").querySelector(".plot");
    Plotly.relayout(place, { "xaxis.autorange": true, "yaxis.autorange": true });
  },
  "log-all"(button) {
    const is = press(button, button.getAttribute("aria-pressed") !== "true");
    for (const one of button.closest("section").querySelectorAll("[data-do='log']")) {
      press(one, is);
      state.log.set(one.closest(".panel").dataset.figure, is);
    }
    redraw();
  },
  theme: () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"),
  sort: sortTable,
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-do]");
  if (button) deeds[button.dataset.do](button);
});

document.addEventListener("input", ({ target }) => {
  if (target.id === "smoothing") {
    state.smoothing = Number(target.value);
    document.getElementById("smoothed").textContent = target.value;
    redraw();
  } else if (target.id === "over") {
    state.over = target.value;
    redraw();
  } else if (target.id === "filter") {
    const wanted = target.value.trim().toLowerCase();
    for (const panel of document.querySelectorAll("#curves .panel")) {
      panel.hidden = !panel.dataset.name.includes(wanted);
    }
  } else if (target.dataset.run !== undefined) {
    state.hidden[target.checked ? "delete" : "add"](Number(target.dataset.run));
    redraw();
  } else if (target.closest(".steps")) {
    const medium = target.closest(".medium");
    const at = Number(target.value);
    const last = at === content.media[medium.dataset.media].length - 1;
    state.at[last ? "delete" : "set"](medium.dataset.media, at); // the last one stays the last one
    showFrame(medium);
  }
});

// ---- a run that goes on --------------------------------------------------------------------------

const news = document.getElementById("news");
const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

async function follow(seconds) {
  for (let lost = false; ; await wait(seconds)) {
    try {
      const answer = await fetch(`data.json?known=${content.revision}`, { cache: "no-store" });
      if (!answer.ok) throw new Error((await answer.text()).slice(0, 300) || `${answer.status}`);
      if (answer.status === 200) update(await answer.json());
      if (lost) tell(content.status);
      lost = false;
    } catch (error) {
      if (!lost) tell(`watch can't be reached (${error.message}): this is the last that it said`, true);
      lost = true;
    }
  }
}

function tell(said, isLost = false) {
  const words = {
    running: "The run goes on; this page follows it.",
    completed: "The run is over.",
    interrupted: "The run was interrupted; when it goes on, this page follows it.",
    killed: "The run was killed: no process holds it. When it goes on, this page follows it.",
  };
  news.textContent = words[said] ?? said;
  news.classList.toggle("lost", isLost);
}

function update(fresh) {
  const before = content.status;
  const known = new Map(content.sections.map((section) => [section.key, section]));
  if (fresh.heading !== content.heading) document.getElementById("heading").innerHTML = fresh.heading;
  const main = document.querySelector("main");
  for (const key of known.keys()) {
    if (!fresh.sections.some((section) => section.key === key)) document.getElementById(key).remove();
  }
  Object.assign(content, fresh);
  fresh.sections.forEach((section, place) => {
    const old = known.get(section.key);
    const part = old ? document.getElementById(section.key) : made(section);
    if (main.children[place] !== part) main.insertBefore(part, main.children[place] ?? null);
    if (old?.html !== section.html) refill(part.querySelector(".body"), section.html);
    watchFigures(part);
  });
  document.querySelector(".bar nav").replaceChildren(...fresh.sections.map((section) => {
    const link = document.createElement("a");
    [link.href, link.textContent] = [`#${section.key}`, section.title];
    return link;
  }));
  document.getElementById("notes").replaceChildren(...fresh.notes.map((note) => {
    const line = document.createElement("p");
    line.textContent = note;
    return line;
  }));
  redraw();
  document.querySelectorAll(".medium").forEach(showFrame);
  if (before !== fresh.status) {
    tell(fresh.status === "running" && before ? `The run goes on; it was ${before}.` : fresh.status);
  }
}

function made(section) {
  const part = document.createElement("section");
  part.id = section.key;
  part.innerHTML = '<div class="head"><h2></h2></div><div class="body"></div>';
  part.querySelector("h2").textContent = section.title;
  part.querySelector(".head").insertAdjacentHTML("beforeend", section.tools);
  return part;
}

// New HTML, but of what is kept (its zoom, its step) the old place, and what was open is open.
function refill(body, html) {
  const frame = document.createElement("template");
  frame.innerHTML = html;
  const name = (place) => place.dataset.figure ?? place.dataset.media;
  const old = new Map([...body.querySelectorAll(".keep")].map((place) => [name(place), place]));
  for (const place of frame.content.querySelectorAll(".keep")) {
    const before = old.get(name(place));
    if (!before || !before.querySelector(".steps") !== !place.querySelector(".steps")) continue;
    const said = place.querySelector(".plot")?.getAttribute("aria-label");
    if (said) before.querySelector(".plot").setAttribute("aria-label", said);
    place.replaceWith(before);
  }
  const open = [...body.querySelectorAll("details")].map((each) => each.open);
  body.replaceChildren(frame.content);
  body.querySelectorAll("details").forEach((each, at) => { each.open = open[at] ?? each.open; });
}

// ---- begin ---------------------------------------------------------------------------------------

async function begin() {
  setTheme(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
  document.querySelectorAll(".medium").forEach(showFrame);
  try {
    await unpackPlotly();
  } catch (error) {
    const trouble = document.getElementById("trouble");
    trouble.textContent = `No curves: this browser can't unpack them (${error.message}). Browsers of 2023 and later can.`;
    trouble.hidden = false;
    return;
  }
  watchFigures(document);
  addEventListener("beforeprint", () => {
    for (const place of document.querySelectorAll("[data-plot]")) { drawn.add(place); draw(place); }
  });
  root.dataset.ready = "";
  if (root.dataset.live) {
    tell(content.status);
    follow(Number(root.dataset.live));
  }
}

begin();
