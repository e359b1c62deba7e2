for (const scene of document.querySelectorAll(".scene")) {
  const player = scene.querySelector(".player"), frames = [...scene.querySelectorAll(".strip img")];
  const screen = player.querySelector("img"), caption = player.querySelector("span"), fps = Number(scene.dataset.fps);
  let now = 0, timer = null;
  const show = n => {
    frames[now].classList.remove("now"); now = n % frames.length; frames[now].classList.add("now");
    screen.src = frames[now].src;
    const sign = timer ? "\u25a0" : "\u25b6", seconds = (now / fps).toFixed(2);
    caption.textContent = `${sign} ${seconds} s, frame ${now + 1} of ${frames.length}`;
  };
  player.addEventListener("click", () => {
    if (timer) { clearInterval(timer); timer = null; show(now); }
    else { timer = setInterval(() => show(now + 1), 1000 / fps); }
  });
  frames.forEach((frame, n) => frame.addEventListener("click", () => show(n)));
  show(0);
}
for (const button of document.querySelectorAll(".filter button")) button.addEventListener("click", () => {
  for (const other of document.querySelectorAll(".filter button")) other.setAttribute("aria-pressed", other === button);
  for (const card of document.querySelectorAll("[data-task]"))
    card.hidden = button.dataset.only !== "" && card.dataset.task !== button.dataset.only;
});
