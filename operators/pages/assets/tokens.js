{
  const box = document.createElement("div"); box.className = "values"; box.hidden = true; document.body.append(box);
  const nats = text => Number(text).toPrecision(6);
  document.addEventListener("pointerover", event => {
    const token = event.target.closest(".tokens s[data-v]"); box.hidden = !token;
    if (!token) return;
    const [engine, trainer, version] = token.dataset.v.split(" ");
    box.textContent = `engine   ${nats(engine)}`
      + (trainer === "-" ? "" : `\ntrainer  ${nats(trainer)}`
        + `\n|diff|   ${Math.abs(engine - trainer).toExponential(2)}`)
      + `\np        ${Math.exp(engine).toFixed(4)}\nweights  v${version}`;
    const at = token.getBoundingClientRect(); box.style.left = `${Math.min(at.left, innerWidth - 190)}px`;
    const above = at.top - box.offsetHeight - 6; box.style.top = `${above > 4 ? above : at.bottom + 6}px`;
  });
}
