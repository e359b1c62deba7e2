"""The data engine against what a user would otherwise do: `make bench-data` prints the table.

Every comparison is made in one run. The two sides take turns, and the result is the median of ratios with their range.
CPU seconds are compared where one process does the work, wall seconds where several do.
"""

from __future__ import annotations

import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import tyro
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.drawn_coco import DrawnScenes, write_drawn_coco
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import CocoPaths, Recipe
from temporay.operators.dataset.samples import Source, make_sample_at, open_source, plan_sample
from temporay.operators.dataset.shards import write_shard
from temporay.operators.pixels.clip import Codec, encode
from temporay.operators.pixels.render import render, render_i420
from temporay.operators.pixels.shapes import OUTLINES
from temporay.operators.records import Address, Frames, ScenePlan
from temporay.operators.sampling import EVERY_FRAME

SHAPES_CANVAS = Canvas(
    width=320,
    height=240,
    fps=8.0,
    num_frames=(32, 32),
    num_scenes=(4, 4),
    frames_per_scene=(8, 8),
    jitter="paper",
    sampling=EVERY_FRAME,
)
TINY_CANVAS = replace(SHAPES_CANVAS, width=48, height=48, num_frames=(8, 8))


@dataclass(frozen=True)
class Settings:
    samples: int = 2048  # made through Ray Data
    growth: tuple[int, ...] = (1000, 4000, 16000)
    repeats: int = 5
    clips: int = 16  # in each repeat of a comparison clip by clip
    coco_captions: Path | None = None  # None: images are drawn, 640 px
    coco_images: Path | None = None
    imgaug_python: Path | None = None  # an interpreter with imgaug, which needs numpy 1; None: OpenCV's bare warps


@dataclass(frozen=True)
class Line:
    what: str
    value: str
    spread: str
    bound: str


def main(settings: Settings) -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        coco = coco_of(settings, folder)
        lines = [
            *drawing(settings),
            *warping(settings, coco),
            *streaming(settings, folder),
            *sizes(settings, folder, coco),
            *through_ray(settings, folder),
            *growth(settings, folder),
        ]
    widths = [max(len(getattr(line, name)) for line in lines) for name in ("what", "value", "spread", "bound")]
    for line in lines:
        cells = (line.what, line.value, line.spread, line.bound)
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


# Against drawing with Matplotlib, and against warping RGB frames one by one.


def drawing(settings: Settings) -> list[Line]:
    """Compare frames of the same plans, by `render` and by Matplotlib with one figure for all frames."""
    recipe = shapes_recipe(settings.clips)
    source = open_source(recipe, Path())
    plans = [made_plan(recipe, source, i) for i in range(settings.clips)]
    few = plans[: max(1, settings.clips // 8)]
    ratios = []
    for _ in range(settings.repeats):
        ours = cpu_seconds(lambda: [render(plan) for plan in plans]) / len(plans)
        theirs = cpu_seconds(lambda: [matplotlib_frames(plan) for plan in few]) / len(few)
        ratios.append(theirs / ours)
    return [ratio_line("draw a shapes clip: ours against Matplotlib, figure reused", ratios, ">= 20")]


def matplotlib_frames(plan: ScenePlan) -> Frames:
    """Draw every frame as a generator in Matplotlib does, without its encoder."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle, Patch, Polygon

    figure = Figure(figsize=(plan.width / 100, plan.height / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    frames = []
    for t in range(plan.num_frames):
        axes.clear()
        axes.set_xlim(0, plan.width)
        axes.set_ylim(plan.height, 0)
        axes.set_axis_off()
        figure.set_facecolor([level / 255 for level in plan.backdrop.color])
        for track in plan.tracks:
            color, center = [level / 255 for level in track.color], track.xy_T2[t]
            patch: Patch = Circle(tuple(center), track.radius_px, color=color)
            if track.shape != "circle":
                patch = Polygon(OUTLINES[track.shape] * track.radius_px + center, color=color)
            axes.add_patch(patch)
        canvas.draw()
        frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return np.stack(frames)


def warping(settings: Settings, coco: CocoPaths) -> list[Line]:
    """Compare the same pseudo-videos from JPEG to mp4, with the same x264 settings."""
    recipe = Recipe(tasks=("scene_order",), num_samples=settings.clips, canvas=SHAPES_CANVAS, coco=coco, level=3)
    source = open_source(recipe, Path())
    plans = [made_plan(recipe, source, i) for i in range(settings.clips)]
    lines = []
    for preset in ("superfast", "ultrafast"):
        codec = Codec(crf=20, preset=preset)
        ratios = []
        for _ in range(settings.repeats):
            ours = cpu_seconds(lambda c=codec: [encode(render_i420(p, source.load_image), p.fps, c) for p in plans])
            theirs = cpu_seconds(lambda c=codec: [imgaug_style(p, c) for p in plans])
            frames = sum(plan.num_frames for plan in plans)
            theirs += frames * imgaug_overhead_s(settings.imgaug_python)
            ratios.append(theirs / ours)
        warps = "OpenCV" if settings.imgaug_python is None else "imgaug"
        what = f"pseudo-video to mp4 ({preset}): ours against RGB warps by {warps} and swscale"
        lines.append(ratio_line(what, ratios, ">= 1.8"))
    return lines


def imgaug_style(plan: ScenePlan, codec: Codec) -> bytes:
    """Do what the code of arXiv 2506.06928 does: read whole images, resize them, warp RGB frames one by one, encode."""
    frames = []
    for shot in plan.shots:
        image = cv2.cvtColor(cv2.imread(shot.scene.path), cv2.COLOR_BGR2RGB)
        sized = cv2.resize(image, (plan.width, plan.height), interpolation=cv2.INTER_LINEAR)
        frames += [cv2.warpAffine(sized, affine_23, (plan.width, plan.height)) for affine_23 in shot.affine_T23]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(plan.fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = plan.width, plan.height, "yuv420p"
        stream.options = {"crf": str(codec.crf), "preset": codec.preset, "g": str(codec.keyframe_interval)}
        stream.codec_context.thread_count = 1
        for frame_HWC in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def imgaug_overhead_s(python: Path | None) -> float:
    """Return the CPU seconds of imgaug's Affine for a frame beyond OpenCV's warp; 0 without an interpreter."""
    if python is None:
        return 0.0
    return float(subprocess.run([python, "-c", IMGAUG], stdout=subprocess.PIPE, text=True, check=True).stdout)


IMGAUG = """
import time, cv2, numpy as np, imgaug.augmenters as iaa
cv2.setNumThreads(1)
affine = iaa.Affine(rotate=(-15, 15), scale=(0.9, 1.1), translate_percent={"x": (-0.1, 0.1), "y": (-0.1, 0.1)})
frame = np.random.randint(0, 255, (240, 320, 3), np.uint8)
def seconds(work):
    work(); start = time.process_time()
    for _ in range(100): work()
    return (time.process_time() - start) / 100
matrix = np.array([[1.0, 0.1, 3.0], [-0.1, 1.0, 2.0]])
print(seconds(lambda: affine(image=frame)) - seconds(lambda: cv2.warpAffine(frame, matrix, (320, 240))))
"""


# Virtual shards.


def streaming(settings: Settings, folder: Path) -> list[Line]:
    """Compare batches of 16 clips, rendered from virtual shards and decoded from mp4 shards."""
    datasets = {}
    for storage in ("virtual", "mp4"):
        recipe = shapes_recipe(64).model_copy(update={"storage": storage})
        datasets[storage] = built(recipe, folder / storage)
    ratios = []
    for _ in range(settings.repeats):
        seconds = {name: cpu_seconds(lambda d=dataset: batches(d)) for name, dataset in datasets.items()}
        ratios.append(seconds["mp4"] / seconds["virtual"])
    return [ratio_line("stream shapes into batches: virtual shards against decoding mp4", ratios, ">= 1")]


def batches(dataset: Dataset) -> None:
    for start in range(0, len(dataset), 16):
        np.stack([dataset.frames(i) for i in range(start, start + 16)])


def sizes(settings: Settings, folder: Path, coco: CocoPaths) -> list[Line]:
    """Count the bytes of a sample on disk."""
    lines = []
    tasks = {"shapes": ("motion_direction",), "pseudo-video": ("scene_order", "first_last")}
    for name, chosen in tasks.items():
        for storage, count in (("virtual", 2000), ("mp4", 64)):
            recipe = shapes_recipe(count).model_copy(update={"storage": storage, "tasks": chosen, "coco": coco})
            dataset = built(recipe, folder / f"{name}-{storage}")
            rows = (dataset.path / "metadata.parquet").stat().st_size / len(dataset)
            clips = sum(row["nbytes"] for row in dataset.rows) / len(dataset)
            bound = "<= 600" if storage == "virtual" else ""
            lines.append(
                Line(f"bytes a sample, {name}, {storage}: parquet row + clip", f"{rows:.0f} + {clips:.0f}", "", bound)
            )
    return lines


# Through Ray Data.


def through_ray(settings: Settings, folder: Path) -> list[Line]:
    """Compare `temporay generate` with one worker per core and a plain loop of `write_shard`, per core."""
    workers = os.cpu_count() or 1
    recipe = shapes_recipe(settings.samples).model_copy(update={"samples_per_shard": 128})
    few = recipe.model_copy(update={"num_samples": 256})
    ratios, starts = [], []
    for _ in range(max(2, settings.repeats // 2)):
        loop_seconds = plain_loops(few, folder, workers)
        loop_rate = few.num_samples / loop_seconds
        out = folder / "ray"
        began = time.time()
        generate_in_a_process(recipe, out, workers)
        times = sorted(path.stat().st_mtime for path in out.glob("shard-*.stats.json"))
        rate = 128 * (len(times) - workers) / (times[-1] - times[workers - 1]) / workers
        starts.append(times[0] - began - 128 / rate)
        ratios.append(rate / loop_rate)
        shutil.rmtree(out)
    return [
        ratio_line(
            f"samples/s a core: through Ray Data ({settings.samples} clips) against plain loops", ratios, ">= 0.9"
        ),
        Line("start-up of generate: imports, Ray, workers", f"{statistics.median(starts):.1f} s", spread(starts), ""),
    ]


def plain_loops(recipe: Recipe, folder: Path, workers: int) -> float:
    """Return the wall seconds of one plain process per core, each making the whole recipe: as busy as with Ray."""
    script = "import sys; sys.path.insert(0, sys.argv[1]); import data; data.plain_loop(sys.argv[2], sys.argv[3])"
    here = Path(__file__).parent
    commands = [
        [sys.executable, "-c", script, str(here), recipe.model_dump_json(), str(folder / f"loop{i}")]
        for i in range(workers)
    ]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    return max(float(process.communicate()[0]) for process in running)


def plain_loop(recipe_json: str, out: str) -> None:
    """Make a recipe in this process and print its seconds without the start."""
    cv2.setNumThreads(1)
    recipe, folder = Recipe.model_validate_json(recipe_json), Path(out)
    folder.mkdir(exist_ok=True)
    source = open_source(recipe, folder)
    make_sample_at(recipe, source, 0)
    start = time.perf_counter()
    for shard in range(recipe.num_shards):
        write_shard(recipe, source, "benchmark", shard, folder)
    print(time.perf_counter() - start)


def growth(settings: Settings, folder: Path) -> list[Line]:
    """Measure seconds for a sample and the driver's memory, at sizes that differ by powers of four."""
    lines = []
    for count in settings.growth:
        recipe = shapes_recipe(count).model_copy(update={"canvas": TINY_CANVAS, "samples_per_shard": 50})
        out = folder / f"growth-{count}"
        megabytes = generate_in_a_process(recipe, out, os.cpu_count() or 1)
        times = sorted(path.stat().st_mtime for path in out.glob("shard-*.stats.json"))
        first = len(times) // 5  # workers do not start at one moment
        per_sample = (times[-1] - times[first]) / (50 * (len(times) - 1 - first))
        shutil.rmtree(out)
        lines.append(
            Line(
                f"{count} samples: ms a sample after the start; driver memory",
                f"{1000 * per_sample:.2f}",
                f"{megabytes:.0f} MB",
                "flat",
            )
        )
    return lines


def generate_in_a_process(recipe: Recipe, out: Path, workers: int) -> float:
    """Run generate as a user would; return the peak memory of its driver in MB."""
    script = (
        "import resource, sys; from pathlib import Path; from temporay.operators.dataset.recipe import Recipe;"
        "from temporay.workflows.data.generate import build;"
        "build(Recipe.model_validate_json(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", script, recipe.model_dump_json(), str(out), str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return float(done.stdout.split()[-1])


# Shared by the comparisons.


def shapes_recipe(num_samples: int) -> Recipe:
    return Recipe(tasks=("motion_direction",), num_samples=num_samples, canvas=SHAPES_CANVAS, level=2)


def coco_of(settings: Settings, folder: Path) -> CocoPaths:
    if settings.coco_captions is not None:
        return CocoPaths(captions=settings.coco_captions, images=settings.coco_images)
    captions, images = write_drawn_coco(folder / "drawn", DrawnScenes(side=640, variants=4))
    return CocoPaths(captions=captions, images=images)


def made_plan(recipe: Recipe, source: Source, i: int) -> ScenePlan:
    made = make_sample_at(recipe, source, i)
    address: Address = made.sample.address
    return plan_sample(recipe, source, address)[0]


def built(recipe: Recipe, out: Path) -> Dataset:
    generate_in_a_process(recipe, out, os.cpu_count() or 1)
    return Dataset.open(out)


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def ratio_line(what: str, ratios: Sequence[float], bound: str) -> Line:
    return Line(what, f"{statistics.median(ratios):.2f} x", spread(ratios), bound)


def spread(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}, {len(values)} repeats"


if __name__ == "__main__":
    main(tyro.cli(Settings))
