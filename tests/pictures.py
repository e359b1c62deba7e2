"""Make the README's pictures of learning and of rollouts from a real run, with a headless Chromium.

    python tests/pictures.py runs/quickstart .github/images

learned.png   what fine-tuning and what reinforcement did: the figures that the run's report begins with
rollouts.png  a group of the last step whose rollouts the report shows
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import shutil
import tempfile
from pathlib import Path

import aiohttp
from temporay.operators.errors import UserError
from temporay.operators.pages.page import page
from temporay.operators.reinforcement.rollout_files import path_of, read_step, steps_in
from temporay.workflows.reports.accuracies import mean_chance
from temporay.workflows.reports.learned import figures
from temporay.workflows.reports.rollout_cards import RolloutViewer, cards_within, legend, shown_steps, summary
from temporay.workflows.reports.sample_cards import Answers

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS_TO_DECODE = 8.0
WIDTH, LEARNED_HEIGHT, ROLLOUTS_HEIGHT = 1120, 1210, 1560  # px


def learned_page(run: Path) -> str:
    """Return a page with what fine-tuning and what reinforcement did."""
    result = json.loads((run / "summary.json").read_text())
    shown = figures(run, result, Answers.read(run), mean_chance(result))
    return page("What training did", "", shown)


def rollouts_page(run: Path) -> str:
    """Return a page with one group of the last step that the run's report shows.

    Raises:
        UserError: the run has kept no rollouts, or its dataset is gone.
    """
    steps = steps_in(run)
    if not steps:
        raise UserError(f"{run} has kept no rollouts; give the folder of a run of temporay grpo")
    step = shown_steps(run, steps)[-1]
    groups = read_step(path_of(run, step)).groups
    [cards] = cards_within(RolloutViewer.open(run), {step: groups}).values()
    return page(f"Rollouts of step {step}", summary(groups), legend() + cards[0][1])


async def photograph(text: str, picture: Path, width: int, height: int) -> None:
    """Write a PNG of a page as Chromium shows it once its clips are decoded.

    Raises:
        UserError: there is no browser.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise UserError(f"no browser found; install one of: {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path, port = Path(folder) / "page.html", Path(folder) / "DevToolsActivePort"
        path.write_text(text, encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
        flags += [f"--user-data-dir={folder}", f"--window-size={width},{height}", path.as_uri()]
        process = await asyncio.create_subprocess_exec(browser, *flags, stderr=asyncio.subprocess.DEVNULL)
        try:
            while not port.is_file():
                await asyncio.sleep(0.2)
            await asyncio.sleep(SECONDS_TO_DECODE)
            picture.write_bytes(await screenshot(f"http://127.0.0.1:{port.read_text().split()[0]}/json"))
        finally:
            process.terminate()
            await process.wait()


async def screenshot(tabs_url: str) -> bytes:
    """Ask a browser for a PNG of its first tab, by the DevTools protocol."""
    async with aiohttp.ClientSession() as session:
        tabs = await (await session.get(tabs_url)).json()
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        async with session.ws_connect(address, max_msg_size=0) as socket:
            await socket.send_json({"id": 1, "method": "Page.captureScreenshot", "params": {"format": "png"}})
            answer = await socket.receive_json()
    return base64.b64decode(answer["result"]["data"])


def main() -> None:
    """Take a run and the place of the picture from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run of temporay run")
    parser.add_argument("folder", type=Path, help="where the PNGs go")
    options = parser.parse_args()
    for name, text, height in (
        ("learned", learned_page(options.run), LEARNED_HEIGHT),
        ("rollouts", rollouts_page(options.run / "grpo"), ROLLOUTS_HEIGHT),
    ):
        asyncio.run(photograph(text, options.folder / f"{name}.png", WIDTH, height))


if __name__ == "__main__":
    main()
