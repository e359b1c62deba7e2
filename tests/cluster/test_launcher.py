"""The cluster launcher's files are valid for the installed Ray and keep our rules; each finds a planted mistake."""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

CLUSTER = Path(__file__).parents[2] / "cluster"
FILES = ("aws.yaml", "local.yaml")


def load(name: str) -> dict[str, Any]:
    config = yaml.safe_load((CLUSTER / name).read_text())
    assert isinstance(config, dict)
    return config


def problems(config: dict[str, Any]) -> list[str]:
    """Return what Ray's own offline check says, then what it cannot see."""
    from click import ClickException  # Ray's command line is made with it
    from ray.autoscaler._private.util import prepare_config, validate_config

    try:
        validate_config(prepare_config(copy.deepcopy(config)))
    except (jsonschema.ValidationError, ValueError, ClickException) as error:
        return [str(error).partition("\n")[0]]
    return [*security_problems(config), *(node_problems(config) if "available_node_types" in config else ())]


def security_problems(config: dict[str, Any]) -> Iterator[str]:
    head, workers = config.get("head_start_ray_commands", []), config.get("worker_start_ray_commands", [])
    if not any("ray start --head" in command for command in head):
        yield "no explicit head_start_ray_commands: the default opens the dashboard to the world"
    if not any("ray start --address" in command for command in workers):
        yield "no explicit worker_start_ray_commands"
    if not any("--dashboard-host=127.0.0.1" in command for command in head):
        yield "the dashboard must listen on loopback"
    starts = [command for command in (*head, *workers) if "ray start" in command]
    everywhere = " ".join(config.get("docker", {}).get("run_options", []))
    if not all("RAY_AUTH_MODE=token" in command + everywhere for command in starts):
        yield "every node needs RAY_AUTH_MODE=token"
    if "~/.ray/auth_token" not in config.get("file_mounts", {}):
        yield "the token is not copied to the nodes"
    if "setup_commands" not in config:
        yield "no explicit setup_commands: the default installs a nightly Ray"
    if re.search(r"(?i)(token|secret|password|_key)\s*[:=]\s*['\"]?[A-Za-z0-9+/]{16,}", yaml.safe_dump(config)):
        yield "a secret stands in the file"


def node_problems(config: dict[str, Any]) -> Iterator[str]:
    nodes = config["available_node_types"]
    spot = {name for name, node in nodes.items() if "InstanceMarketOptions" in node["node_config"]}
    if nodes[config["head_node_type"]]["resources"].get("CPU") != 0:
        yield "the head must offer no CPU to tasks"
    if not any("--num-cpus=0" in command for command in config.get("head_start_ray_commands", [])):
        yield "the head must be started with --num-cpus=0"
    if spot & {config["head_node_type"], "trainer"}:
        yield "head and trainer must be on demand"
    if config["provider"].get("cache_stopped_nodes", True):
        yield "stopped nodes must be given back"
    if sum(node.get("max_workers", 0) for node in nodes.values()) > config["max_workers"]:
        yield "max_workers is less than the node types may have together"
    for name, node in nodes.items():
        if "GPU" in node["resources"] and name not in node["resources"]:
            yield f"{name}: nothing marks its GPUs, so that another role may take them"
        if node.get("min_workers", 0) > node.get("max_workers", node.get("min_workers", 0)):
            yield f"{name}: min_workers is above max_workers"
    if ":latest" in config["docker"]["image"] or ":" not in config["docker"]["image"]:
        yield "the image needs a version"


@pytest.mark.parametrize("name", FILES)
def test_file_is_valid(name: str) -> None:
    assert problems(load(name)) == []


def at(*path: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def walk(config: dict[str, Any]) -> dict[str, Any]:
        for key in path:
            config = config[key]
        return config

    return walk


MISTAKES: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("aws.yaml", lambda c: c.update(max_worker=3), "max_worker"),
    ("aws.yaml", lambda c: c.update(max_workers=0), "smaller than the sum"),
    ("aws.yaml", lambda c: c.update(max_workers=3), "together"),
    ("aws.yaml", lambda c: c.update(head_node_type="haed"), "head_node_type"),
    ("aws.yaml", lambda c: at("available_node_types", "rollout", "resources")(c).update(GPU=0.5), "0.5"),
    ("aws.yaml", lambda c: at("available_node_types", "data")(c).update(spot=True), "spot"),
    ("aws.yaml", lambda c: at("available_node_types", "data")(c).update(min_workers=17, max_workers=16), "min_workers"),
    ("aws.yaml", lambda c: at("available_node_types", "head", "resources")(c).update(CPU=8), "no CPU"),
    ("aws.yaml", lambda c: at("available_node_types", "rollout", "resources")(c).pop("rollout"), "marks its GPUs"),
    (
        "aws.yaml",
        lambda c: at("available_node_types", "trainer", "node_config")(c).update(InstanceMarketOptions={}),
        "on demand",
    ),
    ("aws.yaml", lambda c: c["provider"].pop("cache_stopped_nodes"), "given back"),
    ("aws.yaml", lambda c: c["docker"].update(image="temporay"), "version"),
    ("aws.yaml", lambda c: c["docker"]["run_options"].remove("-e RAY_AUTH_MODE=token"), "RAY_AUTH_MODE"),
    ("aws.yaml", lambda c: c["docker"]["run_options"].append("-e HF_TOKEN=hfabcdefghijklmnopq"), "secret"),
    ("aws.yaml", lambda c: c.pop("head_start_ray_commands"), "dashboard"),
    ("local.yaml", lambda c: c.pop("worker_start_ray_commands"), "worker_start_ray_commands"),
    ("local.yaml", lambda c: c.pop("setup_commands"), "nightly"),
    ("local.yaml", lambda c: c.pop("file_mounts"), "token is not copied"),
    ("local.yaml", lambda c: c["provider"].pop("head_ip"), "head_ip"),
    (
        "local.yaml",
        lambda c: c.update(head_start_ray_commands=["RAY_AUTH_MODE=token ray start --head --dashboard-host=0.0.0.0"]),
        "loopback",
    ),
]


@pytest.mark.parametrize(("name", "plant", "found"), MISTAKES, ids=[found for *_, found in MISTAKES])
def test_planted_mistake_is_found(name: str, plant: Callable[[dict[str, Any]], object], found: str) -> None:
    config = load(name)
    plant(config)
    assert found in "; ".join(problems(config))


def test_image_is_pinned_unprivileged_and_bears_the_name_the_manifests_use() -> None:
    lines = (CLUSTER / "Dockerfile").read_text().splitlines()
    [base] = [line for line in lines if line.startswith("FROM ")]
    assert re.fullmatch(r"FROM python:3\.\d+\.\d+-slim-\w+", base)
    assert [line for line in lines if line.startswith("USER ")][-1] == "USER ray"
    assert f"-t {load('aws.yaml')['docker']['image']} " in lines[0]
