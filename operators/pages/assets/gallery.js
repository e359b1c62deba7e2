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
