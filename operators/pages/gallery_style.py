"""How the gallery looks and moves: the style sheet and the script of its page, both without any address.

A clip is decoded when its card comes near the screen; the canvas over it, the frame slider and the timeline's cursor
all follow the video's own clock. Filters and switches are in the page's hash, so that a view can be sent as a link.
"""

from __future__ import annotations

CSS = """
.page { max-width: 1360px; padding-top: 34px; }
button { font: inherit; color: inherit; cursor: pointer; }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
.gallery { display: grid; grid-template-columns: 196px minmax(0, 1fr); gap: 34px; align-items: start; }
.panel { position: sticky; top: 20px; max-height: calc(100vh - 40px); overflow-y: auto; padding: 2px; font-size: 13px; }
.panel h2 { font: 600 11px/1 inherit; letter-spacing: 0.08em; text-transform: uppercase; font-size: 11px;
  font-family: inherit; color: var(--soft); margin: 22px 0 7px; }
.panel [data-filter] { display: flex; justify-content: space-between; gap: 10px; width: 100%; border: 0;
  background: none; border-radius: 7px; padding: 3.5px 9px; text-align: left; }
.panel [data-filter]:hover { background: color-mix(in srgb, var(--line) 55%, transparent); }
.panel [data-filter][aria-pressed=true] { background: var(--sheet); box-shadow: 0 0 0 1px var(--line);
  color: var(--mark); font-weight: 600; }
.panel small { color: var(--soft); font-weight: 400; font-variant-numeric: tabular-nums; font-size: 12px; }
.filter-level { display: flex; flex-wrap: wrap; gap: 3px; }
.filter-level h2 { flex-basis: 100%; }
.filter-level [data-filter] { width: auto; }
.switches { display: grid; grid-template-columns: repeat(3, 1fr); gap: 5px; }
.switches button { border: 1px solid var(--line); background: var(--sheet); border-radius: 9px; padding: 6px 0;
  font-size: 12px; }
.switches button[aria-pressed=true] { border-color: var(--mark); color: var(--mark);
  background: color-mix(in srgb, var(--mark) 9%, var(--sheet)); }
.keys { display: grid; grid-template-columns: auto 1fr; gap: 5px 10px; margin: 26px 0 0; color: var(--soft);
  font-size: 12px; align-items: baseline; }
.keys dd { margin: 0; }
kbd { font: 11px ui-monospace, Menlo, Consolas, monospace; border: 1px solid var(--line); border-radius: 4px;
  padding: 1px 5px; background: var(--sheet); white-space: nowrap; }
.items { min-width: 0; }
.count { margin: 0 0 12px; color: var(--soft); font-size: 13px; }
.item { background: var(--sheet); border: 1px solid var(--line); border-radius: 16px; padding: 18px 22px 22px;
  margin: 0 0 22px; content-visibility: auto; contain-intrinsic-size: auto 520px; scroll-margin-top: 16px; }
.item:focus { outline: none; }
.item.current { box-shadow: 0 0 0 1.5px color-mix(in srgb, var(--mark) 55%, transparent); }
.item > header { display: flex; flex-wrap: wrap; gap: 3px 14px; align-items: baseline; color: var(--soft);
  font-size: 12.5px; margin-bottom: 14px; }
.item h3 { margin: 0; font-size: 14px; font-weight: 600; color: var(--mark); }
.item header code { margin-left: auto; opacity: 0.75; font-size: 11.5px; }
.item.dead { padding-bottom: 10px; }
.item.dead p { margin: 0 0 8px; }
.takes { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1.08fr); gap: 6px 30px; align-items: start; }
.takes.n2 { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 18px 30px; }
.takes.n2 .asked { grid-column: 1 / -1; }
.takes.n2 .whys { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 30px; }
.role { margin: 0 0 6px; font-size: 11px; letter-spacing: 0.08em; text-transform: uppercase; color: var(--soft); }
.take { min-width: 0; }
.stage { position: relative; max-height: 420px; margin: 0 auto; border-radius: 10px; overflow: hidden;
  background: #101216; }
.stage video, .stage canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; }
.stage canvas { display: none; pointer-events: none; }
.tracks .stage canvas { display: block; }
.stage.small video { image-rendering: pixelated; }
.stage { cursor: pointer; }
.take { --who: 142px; }
.controls { display: grid; grid-template-columns: 30px calc(var(--who) - 30px) minmax(0, 1fr); align-items: center;
  margin: 10px 0 4px; font-size: 12px; color: var(--soft); }
.controls output { padding-left: 10px; font-variant-numeric: tabular-nums; white-space: nowrap; }
.play { flex: none; width: 30px; height: 30px; border: 1px solid var(--line); border-radius: 50%; background: none;
  padding: 0; display: grid; place-items: center; color: var(--ink); }
.play::before { content: ""; width: 9px; height: 11px; background: currentColor; margin-left: 2px;
  clip-path: polygon(0 0, 100% 50%, 0 100%); }
.playing .play::before { margin-left: 0; clip-path: polygon(0 0, 34% 0, 34% 100%, 66% 100%, 66% 0, 100% 0, 100% 100%,
  34% 100%, 34% 100%, 0 100%); }
input[type=range] { width: 100%; accent-color: var(--mark); height: 18px; margin: 0; }
.timeline { position: relative; margin-top: 6px; }
.no-events .timeline { display: none; }
.lane { display: grid; grid-template-columns: var(--who) minmax(0, 1fr); align-items: center; height: 21px; }
.who { font-size: 11.5px; color: var(--soft); white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  padding-right: 10px; }
.bars { position: relative; height: 17px; border-radius: 5px; overflow: hidden;
  background: color-mix(in srgb, var(--line) 42%, transparent); }
.bars b { position: absolute; top: 0; bottom: 0; min-width: 3px; border-radius: 4px; font-weight: 400; font-size: 11px;
  line-height: 17px; padding-left: 6px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; cursor: pointer;
  background: color-mix(in srgb, var(--of) 30%, transparent); border-left: 2.5px solid var(--of);
  box-shadow: inset 0 0 0 1px color-mix(in srgb, var(--ink) 12%, transparent); }
.cursor { position: absolute; top: -2px; bottom: -2px; left: calc(var(--who) + (100% - var(--who)) * var(--at, 0));
  width: 1.5px; margin-left: -0.75px; background: var(--ink); opacity: 0.65; pointer-events: none; }
.ask { font: 600 17px/1.4 ui-serif, Georgia, "Times New Roman", serif; margin: 0 0 12px; }
.guesses { list-style: none; margin: 0 0 14px; padding: 0; display: grid; gap: 6px; }
.n2 .guesses { grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); }
.option { display: flex; gap: 10px; width: 100%; height: 100%; align-items: baseline; text-align: left;
  background: none; border: 1px solid var(--line); border-radius: 9px; padding: 7px 12px; }
.option:hover { border-color: var(--soft); }
.option .letter { color: var(--soft); font-size: 13px; }
.badge { display: none; margin-left: auto; font-size: 11px; font-weight: 600; color: var(--right); }
.badge + .badge { margin-left: 8px; }
.open .option[data-right="1"] { border-color: var(--right); background: var(--right-ground); }
.open .badge { display: inline; }
.open .option.picked[data-right="0"] { border-color: var(--wrong); color: var(--wrong); }
.reveal { border: 0; background: none; padding: 2px 0; color: var(--mark); font-size: 13px; text-decoration: underline;
  text-decoration-color: color-mix(in srgb, var(--mark) 35%, transparent); text-underline-offset: 3px; }
.whys { margin-top: 10px; }
.item:not(.open) .whys { display: none !important; }
.why p { margin: 0 0 8px; }
.why .answer { font-weight: 600; }
.claim { background: linear-gradient(var(--right), var(--right)) 0 100% / 100% 1px no-repeat; border-radius: 2px;
  -webkit-box-decoration-break: clone; box-decoration-break: clone; }
.claim.fails { background-image: linear-gradient(var(--wrong), var(--wrong)); color: var(--wrong); }
.claim[data-ms] { cursor: pointer; }
.claim[data-ms]:hover { background-color: var(--right-ground); }
.note { font-size: 12px; color: var(--soft); margin: 6px 0 0; }
.note.good { color: var(--right); } .note.bad { color: var(--wrong); }
[hidden] { display: none !important; }
@media (max-width: 980px) {
  .gallery { grid-template-columns: minmax(0, 1fr); gap: 18px; }
  .panel { position: static; max-height: none; }
  .panel [data-filter] { width: auto; }
  .panel [role=group] { display: flex; flex-wrap: wrap; gap: 3px; }
  .panel h2 { flex-basis: 100%; }
  .keys { display: none; }
}
@media (max-width: 680px) {
  .takes, .takes.n2, .takes.n2 .whys { grid-template-columns: minmax(0, 1fr); }
  .take { --who: 132px; }
}
@media (prefers-reduced-motion: no-preference) { .option, .play { transition: border-color 0.15s, background 0.15s; } }
"""

SCRIPT = """
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const items = all(".item"), state = new URLSearchParams(location.hash.slice(1));
const defaults = { tracks: "0", answers: "0", events: "1" };
const isOn = name => (state.get(name) ?? defaults[name]) === "1";
let current = null;

const bytesOf = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const scriptOf = (take, type) => take.querySelector(`script[type="${type}"]`);
const frameOf = (take, seconds) => Math.min(take.frames - 1, Math.max(0, Math.floor(seconds * take.fps + 1e-3)));

function draw(take) {  // what the plan says is where, over what the clip shows
  const { canvas, video, overlay } = take, box = canvas.getBoundingClientRect();
  if (!overlay || !box.width) return;
  const dots = window.devicePixelRatio || 1, k = box.width / video.width, t = take.now;
  canvas.width = box.width * dots; canvas.height = box.height * dots;
  const pen = canvas.getContext("2d");
  pen.setTransform(k * dots, 0, 0, k * dots, k * dots / 2, k * dots / 2);  // a plan's (0, 0) is a pixel's centre
  pen.lineJoin = pen.lineCap = "round";
  const stroke = (width, style) => { pen.lineWidth = width / k; pen.strokeStyle = style; pen.stroke(); };
  const text = (words, x, y) => {
    pen.font = `600 ${12 / k}px ui-sans-serif, system-ui, sans-serif`;
    const half = pen.measureText(words).width / 2, edge = 4 / k;
    x = Math.min(video.width - half - edge, Math.max(half + edge, x));
    y = Math.min(video.height - edge, Math.max(14 / k, y));
    pen.textAlign = "center"; pen.lineWidth = 3.5 / k; pen.strokeStyle = "rgb(10 12 16 / .85)";
    pen.strokeText(words, x, y); pen.fillStyle = "#fff"; pen.fillText(words, x, y);
  };
  for (const shot of overlay.shots) if (shot.start <= t && t < shot.end) {
    pen.beginPath();
    shot.corners[t - shot.start].forEach(([x, y], n) => n ? pen.lineTo(x, y) : pen.moveTo(x, y));
    pen.closePath(); pen.setLineDash([6 / k, 5 / k]);
    stroke(3, "rgb(10 12 16 / .6)"); stroke(1.5, "#fff"); pen.setLineDash([]);
    text(shot.name, video.width / 2, video.height - 8 / k);
  }
  for (const track of overlay.tracks) {
    const color = `rgb(${track.color})`, [x, y] = track.xy[t];
    pen.beginPath();
    for (let n = 0, down = false; n < track.xy.length; n++) {
      const [px, py] = track.xy[n], [bx, by] = track.xy[Math.max(0, n - 1)];
      const jumps = track.wraps && (Math.abs(px - bx) > video.width / 2 || Math.abs(py - by) > video.height / 2);
      if (!track.visible[n]) { down = false; continue; }
      if (down && !jumps) pen.lineTo(px, py); else pen.moveTo(px, py);
      down = true;
    }
    stroke(4, "rgb(10 12 16 / .55)"); stroke(1.8, color);
    for (let n = 0; n <= t; n++) if (track.visible[n]) {
      pen.beginPath(); pen.arc(...track.xy[n], 2.2 / k, 0, 7); pen.fillStyle = color; pen.fill();
    }
    if (!track.visible[t]) continue;
    const radius = track.radius * (track.scale ? track.scale[t] : 1) + 3 / k;
    pen.beginPath(); pen.arc(x, y, radius, 0, 7);
    stroke(4, "rgb(10 12 16 / .75)"); stroke(1.8, "#fff");
    text(track.name, x, y - radius - 6 / k);
  }
}

function follow(take, seconds) {
  take.now = frameOf(take, seconds);
  take.slider.value = take.now;
  take.output.textContent = `${(take.now / take.fps).toFixed(2)} s · ${take.now + 1}/${take.frames}`;
  take.node.style.setProperty("--at", Math.min(1, seconds * take.fps / take.frames));
  if (document.body.classList.contains("tracks")) draw(take);
}

function seek(take, frame) {
  load(take);
  take.video.pause();
  const n = Math.min(take.frames - 1, Math.max(0, frame));
  take.video.currentTime = (n + 0.5) / take.fps;
  follow(take, (n + 0.5) / take.fps);
}

function toggle(take) {
  load(take);
  if (take.video.paused) take.video.play(); else take.video.pause();
}

function load(take) {  // decoded only when it comes near the screen
  if (take.video.src) return;
  take.video.src = URL.createObjectURL(new Blob([bytesOf(take.data.textContent)], { type: "video/mp4" }));
}

function open(item, is) {
  item.classList.toggle("open", is);
  const button = item.querySelector(".reveal");
  if (!button) return;
  button.setAttribute("aria-expanded", is);
  button.textContent = is ? "Hide answer and reasoning" : "Show answer and reasoning";
}

function select(item) {
  if (current) current.classList.remove("current");
  (current = item).classList.add("current");
}

for (const item of items) {
  item.takes = all(".take[data-fps]", item).map(node => ({
    node, fps: Number(node.dataset.fps), frames: Number(node.dataset.frames), now: 0,
    video: node.querySelector("video"), canvas: node.querySelector("canvas"), slider: node.querySelector("input"),
    output: node.querySelector("output"), data: scriptOf(node, "text/plain"),
    overlay: JSON.parse(scriptOf(node, "application/json").textContent),
  }));
  item.addEventListener("pointerdown", () => select(item));
  item.addEventListener("focusin", () => select(item));
  for (const take of item.takes) {
    const { node, video, slider } = take, play = node.querySelector(".play");
    const tick = () => { follow(take, video.currentTime); if (!video.paused) requestAnimationFrame(tick); };
    video.addEventListener("play", () => { node.classList.add("playing"); tick(); });
    video.addEventListener("pause", () => node.classList.remove("playing"));
    for (const name of ["seeked", "loadeddata"]) video.addEventListener(name, () => follow(take, video.currentTime));
    play.addEventListener("click", () => toggle(take));
    node.querySelector(".stage").addEventListener("click", () => toggle(take));
    slider.addEventListener("input", () => seek(take, Number(slider.value)));
    for (const bar of all(".bars b", node))
      bar.addEventListener("click", () => seek(take, Math.round(Number(bar.dataset.ms) * take.fps / 1000)));
    follow(take, 0);
  }
  for (const claim of all(".claim[data-ms]", item)) {
    const take = item.takes[Number(claim.closest(".why").dataset.take)];
    const go = () => take && seek(take, Math.round(Number(claim.dataset.ms) * take.fps / 1000));
    claim.addEventListener("click", go);
    claim.addEventListener("keydown", event => { if (event.key === "Enter") go(); });
  }
  for (const option of all(".option", item)) option.addEventListener("click", () => {
    for (const other of all(".option", item)) other.classList.toggle("picked", other === option);
    open(item, true);
  });
  item.querySelector(".reveal")?.addEventListener("click", () => open(item, !item.classList.contains("open")));
}

function show() {  // the state of filters and switches, applied
  let num = 0;
  for (const item of items) {
    item.hidden = ["task", "level", "status"].some(f => state.get(f) && item.dataset[f] !== state.get(f));
    if (item.hidden) for (const take of item.takes) take.video.pause();
    num += !item.hidden;
  }
  document.querySelector(".count").textContent = `${num} of ${items.length} cards`;
  for (const button of all("[data-filter]"))
    button.setAttribute("aria-pressed", button.dataset.only === (state.get(button.dataset.filter) || ""));
  for (const button of all("[data-switch]")) button.setAttribute("aria-pressed", isOn(button.dataset.switch));
  document.body.classList.toggle("tracks", isOn("tracks"));
  document.body.classList.toggle("no-events", !isOn("events"));
  for (const item of items) for (const take of item.takes) draw(take);
}

function set(name, value) {
  if (value === null || value === "") state.delete(name); else state.set(name, value);
  history.replaceState(null, "", `#${state}`);
  show();
}

function flip(name) {
  const now = isOn(name) ? "0" : "1";
  set(name, now === defaults[name] ? null : now);
  if (name === "answers") for (const item of items) open(item, isOn(name));
}

for (const button of all("[data-filter]"))
  button.addEventListener("click", () => set(button.dataset.filter, button.dataset.only));
for (const button of all("[data-switch]")) button.addEventListener("click", () => flip(button.dataset.switch));

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase(), on = event.target.tagName, visible = items.filter(item => !item.hidden);
  const here = visible.includes(current) ? current : visible[0], at = visible.indexOf(here);
  if (key === "j" || key === "k") {
    const next = current ? visible[Math.min(visible.length - 1, Math.max(0, at + (key === "j" ? 1 : -1)))] : here;
    if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "start" }); }
  } else if (key === "t") flip("tracks");
  else if (key === "a") flip("answers");
  else if (key === "e") flip("events");
  else if (here && key === " " && on !== "BUTTON") { event.preventDefault(); here.takes.forEach(toggle); }
  else if (here && key.startsWith("arrow") && "leftright".includes(key.slice(5)) && on !== "INPUT") {
    event.preventDefault();
    for (const take of here.takes) seek(take, take.now + (key === "arrowright" ? 1 : -1));
  }
});

const near = new IntersectionObserver(entries => {
  for (const entry of entries) for (const take of entry.target.takes)
    if (entry.isIntersecting) { load(take); draw(take); } else take.video.pause();
}, { rootMargin: "400px" });
for (const item of items) near.observe(item);
addEventListener("resize", show);
for (const item of items) open(item, isOn("answers"));
if (state.has("frame")) for (const item of items) for (const take of item.takes) seek(take, Number(state.get("frame")));
show();
"""
