"""Make the README's picture of rollouts from a real run, with a headless Chromium.

    python tests/pictures.py runs/quickstart/grpo .github/images/rollouts.png

The picture shows a group of the last step whose rollouts the run has kept: the card that its report begins with.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from temporay.operators.errors import UserError
from temporay.operators.pages.page import page
from temporay.operators.reinforcement.rollout_files import path_of, read_step, steps_in
from temporay.workflows.reports.rollout_cards import RolloutViewer, cards_within, legend, summary

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WAIT_MS = 6_000  # the page decodes its clips in this time


def rollouts_page(run: Path) -> str:
    """Return a page with one group of the last step that the run has kept.

    Raises:
        UserError: the run has kept no rollouts, or its dataset is gone.
    """
    steps = steps_in(run)
    if not steps:
        raise UserError(f"{run} has kept no rollouts; give the folder of a run of temporay grpo")
    groups = read_step(path_of(run, steps[-1])).groups
    [cards] = cards_within(RolloutViewer.open(run), {steps[-1]: groups}).values()
    return page(f"Rollouts of step {steps[-1]}", summary(groups), legend() + cards[0][1])


def photograph(text: str, picture: Path, size: str) -> None:
    """Write a PNG of a page as a browser shows it.

    Raises:
        UserError: there is no browser.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise UserError(f"no browser found; install one of: {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(text, encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--timeout={WAIT_MS}"]
        flags += [f"--user-data-dir={folder}/profile", f"--window-size={size}", f"--screenshot={picture.absolute()}"]
        subprocess.run([browser, *flags, path.as_uri()], check=True)


def main() -> None:
    """Take a run and the place of the picture from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run of temporay grpo")
    parser.add_argument("picture", type=Path, help="PNG to write")
    parser.add_argument("--size", default="1120,1080", help="width and height in pixels")
    options = parser.parse_args()
    photograph(rollouts_page(options.run), options.picture, options.size)


if __name__ == "__main__":
    main()
