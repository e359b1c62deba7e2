// Clips are decoded when their card comes near the screen. The canvas over a clip, its slider and the cursor of its
// timeline follow the video's own clock. Filters and switches are in the page's hash, so a view can be sent as a link.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const items = all(".item");
const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
const inReport = document.querySelector(".gallery") === null;
const defaults = { tracks: "0", answers: inReport ? "1" : "0", events: "1", frames: inReport ? "1" : "0" };
const isOn = (name) => (state.get(name) ?? defaults[name]) === "1";
const SHADE = "rgb(10 12 16 / .6)";
let current = null;

const frameAt = (clip, seconds) => Math.min(clip.frames - 1, Math.max(0, Math.floor(seconds * clip.fps + 1e-3)));
const once = (target, name) => new Promise((done) => target.addEventListener(name, done, { once: true }));

// A pen whose unit is a pixel of the frame, whatever the size on the screen; null when nothing is to be drawn.
function penOver({ canvas, video }) {
  const box = canvas.getBoundingClientRect(), dots = window.devicePixelRatio || 1, k = box.width / video.width;
  if (!box.width) return null;
  canvas.width = box.width * dots; canvas.height = box.height * dots;
  const context = canvas.getContext("2d");
  context.setTransform(k * dots, 0, 0, k * dots, (k * dots) / 2, (k * dots) / 2); // (0, 0) of a plan: center of a pixel
  context.lineJoin = context.lineCap = "round";
  const stroke = (width, style) => { context.lineWidth = width / k; context.strokeStyle = style; context.stroke(); };
  const text = (words, x, y) => {
    context.font = `600 ${12 / k}px ui-sans-serif, system-ui, sans-serif`;
    const half = context.measureText(words).width / 2, edge = 4 / k;
    const left = Math.min(video.width - half - edge, Math.max(half + edge, x));
    const top = Math.min(video.height - edge, Math.max(14 / k, y));
    context.textAlign = "center"; context.lineWidth = 3.5 / k; context.strokeStyle = SHADE;
    context.strokeText(words, left, top); context.fillStyle = "#fff"; context.fillText(words, left, top);
  };
  return { context, k, stroke, text };
}

function drawShot({ context, k, stroke, text }, { corners, start, name }, { now, video }) {
  context.beginPath();
  for (const [x, y] of corners[now - start]) context.lineTo(x, y);
  context.closePath(); context.setLineDash([6 / k, 5 / k]);
  stroke(3, SHADE); stroke(1.5, "#fff"); context.setLineDash([]);
  text(name, video.width / 2, video.height - 8 / k);
}

function drawPath(context, { xy, visible, wraps }, { width, height }) {
  context.beginPath();
  xy.forEach(([x, y], n) => {
    const [bx, by] = xy[Math.max(0, n - 1)];
    const jumps = wraps && (Math.abs(x - bx) > width / 2 || Math.abs(y - by) > height / 2);
    if (visible[n] && visible[n - 1] && !jumps) context.lineTo(x, y); else if (visible[n]) context.moveTo(x, y);
  });
}

function drawTrack({ context, k, stroke, text }, track, { now, video }) {
  const color = `rgb(${track.color})`, [x, y] = track.xy[now];
  drawPath(context, track, video);
  stroke(4, SHADE); stroke(1.8, color);
  context.fillStyle = color;
  for (let n = 0; n <= now; n++) if (track.visible[n]) {
    context.beginPath(); context.arc(...track.xy[n], 2.2 / k, 0, 7); context.fill();
  }
  if (!track.visible[now]) return;
  const radius = track.radius * (track.scale ? track.scale[now] : 1) + 3 / k;
  context.beginPath(); context.arc(x, y, radius, 0, 7);
  stroke(4, SHADE); stroke(1.8, "#fff");
  text(track.name, x, y - radius - 6 / k);
}

function draw(clip) { // what the plan says is where, over what the clip shows
  const pen = clip.overlay && isOn("tracks") ? penOver(clip) : null;
  if (!pen) return;
  for (const shot of clip.overlay.shots) if (shot.start <= clip.now && clip.now < shot.end) drawShot(pen, shot, clip);
  for (const track of clip.overlay.tracks) drawTrack(pen, track, clip);
}

function follow(clip, seconds) {
  clip.now = frameAt(clip, seconds);
  clip.slider.value = clip.now;
  clip.output.textContent = `${(clip.now / clip.fps).toFixed(2)} s · ${clip.now + 1}/${clip.frames}`;
  clip.node.style.setProperty("--at", Math.min(1, (seconds * clip.fps) / clip.frames));
  for (const [n, picture] of [...clip.strip.children].entries()) picture.classList.toggle("now", n === clip.now);
  draw(clip);
}

function load(clip) { // decoded only when it comes near the screen
  if (clip.video.src) return;
  const bytes = Uint8Array.from(atob(clip.data.textContent), (letter) => letter.charCodeAt(0));
  clip.video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
}

async function fillStrip(clip) { // every frame side by side, from a second decoder that nobody sees
  if (clip.isFilled || !isOn("frames")) return;
  clip.isFilled = true;
  const video = document.createElement("video");
  video.muted = true; video.preload = "auto"; video.src = clip.video.src;
  await once(video, "loadeddata");
  for (let n = 0; n < clip.frames; n++) {
    const shown = presented(video);
    video.currentTime = (n + 0.5) / clip.fps;
    await Promise.all([once(video, "seeked"), shown]);
    const picture = document.createElement("canvas"), scale = Math.min(1, 160 / video.videoWidth);
    picture.width = video.videoWidth * scale; picture.height = video.videoHeight * scale;
    picture.getContext("2d").drawImage(video, 0, 0, picture.width, picture.height);
    picture.addEventListener("click", () => seek(clip, n));
    clip.strip.append(picture);
  }
  follow(clip, clip.video.currentTime);
}

function presented(video) { // "seeked" may come before the picture that was sought is there to be drawn
  const tooLong = new Promise((go) => setTimeout(go, 250)); // the same picture is not presented again
  if (!video.requestVideoFrameCallback) return tooLong;
  return Promise.race([new Promise((go) => video.requestVideoFrameCallback(go)), tooLong]);
}

function seek(clip, frame) {
  load(clip);
  clip.video.pause();
  const middle = (Math.min(clip.frames - 1, Math.max(0, frame)) + 0.5) / clip.fps;
  clip.video.currentTime = middle;
  follow(clip, middle);
}

function toggle(clip) {
  load(clip);
  if (clip.video.paused) clip.video.play(); else clip.video.pause();
}

function open(item, is) {
  item.classList.toggle("open", is);
  const button = item.querySelector(".reveal");
  button?.setAttribute("aria-expanded", is);
  if (button) button.textContent = is ? "Hide answer and reasoning" : "Show answer and reasoning";
}

function select(item) {
  current?.classList.remove("current");
  current = item;
  item.classList.add("current");
}

function clipOf(node) {
  const part = (selector) => node.querySelector(selector);
  const clip = { node, fps: Number(node.dataset.fps), frames: Number(node.dataset.frames), now: 0, isFilled: false,
    video: part("video"), canvas: part("canvas"), slider: part("input"), output: part("output"), strip: part(".strip"),
    data: part('script[type="text/plain"]'), overlay: JSON.parse(part('script[type="application/json"]').textContent) };
  const { video, slider } = clip;
  const tick = () => { follow(clip, video.currentTime); if (!video.paused) requestAnimationFrame(tick); };
  video.addEventListener("play", () => { node.classList.add("playing"); tick(); });
  video.addEventListener("pause", () => node.classList.remove("playing"));
  for (const name of ["seeked", "loadeddata"]) video.addEventListener(name, () => follow(clip, video.currentTime));
  for (const name of [".play", ".screen"]) part(name).addEventListener("click", () => toggle(clip));
  slider.addEventListener("input", () => seek(clip, Number(slider.value)));
  for (const bar of all(".bars b", node)) bar.addEventListener("click", () => seekMs(clip, bar));
  follow(clip, 0);
  return clip;
}

const seekMs = (clip, { dataset }) => seek(clip, Math.round((Number(dataset.ms) * clip.fps) / 1000));

function prepare(item) {
  item.clips = all(".clip[data-fps]", item).map(clipOf);
  for (const name of ["pointerdown", "focusin"]) item.addEventListener(name, () => select(item));
  for (const mark of all("mark[data-ms]", item)) {
    const clip = item.clips[Number(mark.closest("[data-clip]")?.dataset.clip ?? 0)];
    const go = () => clip && seekMs(clip, mark);
    mark.addEventListener("click", go);
    mark.addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
  }
  for (const option of all(".option", item)) option.addEventListener("click", () => {
    for (const other of all(".option", item)) other.classList.toggle("picked", other === option);
    open(item, true);
  });
  item.querySelector(".reveal")?.addEventListener("click", () => open(item, !item.classList.contains("open")));
  open(item, isOn("answers"));
}

function show() { // the state of filters and switches, applied
  for (const item of items) {
    item.hidden = ["task", "level", "status"].some((f) => state.get(f) && item.dataset[f] !== state.get(f));
    for (const clip of item.clips) if (item.hidden) clip.video.pause();
  }
  const num = items.filter((item) => !item.hidden).length;
  for (const line of all(".count")) line.textContent = `${num} of ${items.length} cards`;
  for (const button of all("[data-filter]"))
    button.setAttribute("aria-pressed", button.dataset.only === (state.get(button.dataset.filter) || ""));
  for (const button of all("[data-switch]")) button.setAttribute("aria-pressed", isOn(button.dataset.switch));
  for (const name of ["tracks", "frames"]) document.body.classList.toggle(name, isOn(name));
  document.body.classList.toggle("no-events", !isOn("events"));
  for (const clip of items.flatMap((item) => item.clips)) {
    draw(clip);
    if (clip.video.src) fillStrip(clip);
  }
}

function set(name, value) {
  if (value) state.set(name, value); else state.delete(name);
  history.replaceState(null, "", `#${state}`);
  show();
}

function flip(name) {
  const now = isOn(name) ? "0" : "1";
  set(name, now === defaults[name] ? null : now);
  if (name === "answers") for (const item of items) open(item, isOn(name));
}

function step(visible, by) { // to the next card or the one before
  const at = visible.indexOf(current);
  const next = visible[at < 0 ? 0 : Math.min(visible.length - 1, Math.max(0, at + by))];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: "start" });
}

const KEYS = { t: "tracks", a: "answers", e: "events", f: "frames" };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const visible = items.filter((item) => !item.hidden), on = event.target.tagName, key = event.key.toLowerCase();
  const here = visible.includes(current) ? current : visible[0];
  const by = { arrowleft: -1, arrowright: 1 }[key];
  if (key === "j" || key === "k") step(visible, key === "j" ? 1 : -1);
  else if (key in KEYS) flip(KEYS[key]);
  else if (here && key === " " && on !== "BUTTON" && on !== "SUMMARY") {
    event.preventDefault();
    here.clips.forEach(toggle);
  } else if (here && by && on !== "INPUT") {
    event.preventDefault();
    for (const clip of here.clips) seek(clip, clip.now + by);
  }
});

items.forEach(prepare);
for (const button of all("[data-filter]"))
  button.addEventListener("click", () => set(button.dataset.filter, button.dataset.only));
for (const button of all("[data-switch]")) button.addEventListener("click", () => flip(button.dataset.switch));
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) for (const clip of entry.target.clips) {
    if (entry.isIntersecting) { load(clip); draw(clip); fillStrip(clip); } else clip.video.pause();
  }
}, { rootMargin: "400px" });
for (const item of items) near.observe(item);
addEventListener("resize", show);
if (state.has("frame")) for (const item of items) for (const clip of item.clips) seek(clip, Number(state.get("frame")));
show();
