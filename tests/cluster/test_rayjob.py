"""The RayJob manifest, offline: a compact schema of the fields we use, and the rules KubeRay's operator applies.

Source of both: KubeRay 1.7, ray.io_rayjobs.yaml and controllers/ray/utils/validation.go. Each finds planted mistakes.
"""

import re
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from temporay.workflows.__main__ import config_of

# Of a model of 4.44 billion weights in bfloat16: the one that engines serve and the one that they pull.
TWO_VERSIONS_BYTES = 2 * 2 * 4_440_000_000
MANIFEST = Path(__file__).parents[2] / "cluster" / "rayjob.yaml"


def closed(required: str, optional: str = "", **properties: Any) -> dict[str, Any]:
    """Return a schema of an object with exactly these properties; those without a schema of their own are free."""
    names = [*required.split(), *optional.split()]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": {name: properties.get(name, {}) for name in names},
    }


TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
QUANTITY = {"type": "string", "pattern": r"^\d+(m|Mi|Gi|Ti)?$"}
QUANTITIES = closed("cpu memory", "nvidia.com/gpu", **{"cpu": QUANTITY, "memory": QUANTITY, "nvidia.com/gpu": QUANTITY})
RESOURCES = closed("requests limits", requests=QUANTITIES, limits=QUANTITIES)
STARTS = {"type": "object", "additionalProperties": TEXT}
CONTAINER = closed(
    "name image resources volumeMounts securityContext",
    "env ports",
    image=TEXT,
    resources=RESOURCES,
    securityContext=closed("allowPrivilegeEscalation", allowPrivilegeEscalation={"const": False}),
    volumeMounts={"type": "array", "items": closed("name mountPath", name=TEXT, mountPath=TEXT)},
    env={"type": "array", "items": closed("name value", name=TEXT, value=TEXT)},
    ports={"type": "array", "items": closed("containerPort name", containerPort=COUNT, name=TEXT)},
)
POD = closed(
    "restartPolicy containers volumes securityContext",
    "tolerations terminationGracePeriodSeconds",
    restartPolicy={"const": "Never"},
    containers={"type": "array", "minItems": 1, "items": CONTAINER},
    securityContext=closed("runAsNonRoot runAsUser fsGroup", runAsNonRoot={"const": True}, runAsUser={"minimum": 1}),
    volumes={"type": "array", "items": closed("name", "persistentVolumeClaim emptyDir", name=TEXT)},
    tolerations={"type": "array", "items": closed("key operator effect")},
    terminationGracePeriodSeconds=COUNT,
)
TEMPLATE = closed("spec", spec=POD)
HEAD = closed("rayStartParams template", rayStartParams=STARTS, template=TEMPLATE)
WORKERS = closed(
    "groupName replicas minReplicas maxReplicas rayStartParams template",
    "idleTimeoutSeconds resources",
    resources={"type": "object", "additionalProperties": TEXT},
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    idleTimeoutSeconds=COUNT,
    rayStartParams=STARTS,
    template=TEMPLATE,
)
CLUSTER = closed(
    "rayVersion authOptions enableInTreeAutoscaling autoscalerOptions headGroupSpec workerGroupSpecs",
    rayVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
    authOptions=closed("mode", mode={"const": "token"}),
    enableInTreeAutoscaling={"const": True},
    autoscalerOptions=closed(
        "version idleTimeoutSeconds resources", version={"const": "v2"}, idleTimeoutSeconds=COUNT, resources=RESOURCES
    ),
    headGroupSpec=HEAD,
    workerGroupSpecs={"type": "array", "minItems": 1, "items": WORKERS},
)
RULE = closed(
    "policy condition",
    policy={"enum": ["DeleteWorkers", "DeleteCluster", "DeleteSelf", "DeleteNone"]},
    condition=closed("ttlSeconds", "jobStatus jobDeploymentStatus", ttlSeconds=COUNT),
)
SPEC = closed(
    "entrypoint submissionMode backoffLimit deletionStrategy rayClusterSpec",
    "submitterConfig activeDeadlineSeconds preRunningDeadlineSeconds shutdownAfterJobFinishes ttlSecondsAfterFinished",
    entrypoint=TEXT,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "SidecarMode"]},
    backoffLimit=COUNT,
    submitterConfig=closed("backoffLimit", backoffLimit=COUNT),
    activeDeadlineSeconds={"type": "integer", "minimum": 1},
    deletionStrategy=closed("deletionRules", deletionRules={"type": "array", "minItems": 1, "items": RULE}),
    rayClusterSpec=CLUSTER,
)
SCHEMA = closed(
    "apiVersion kind metadata spec",
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=closed("name", "labels annotations", name=TEXT),
    spec=SPEC,
)


def problems(manifest: dict[str, Any]) -> list[str]:
    faults = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(SCHEMA).iter_errors(manifest)]
    return faults or [*operator_problems(manifest), *cluster_problems(manifest["spec"]["rayClusterSpec"])]


def operator_problems(manifest: dict[str, Any]) -> Iterator[str]:
    name, spec = manifest["metadata"]["name"], manifest["spec"]
    if len(name) > 47 or not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        yield "metadata.name must be a DNS-1035 label of at most 47 characters"
    if {"shutdownAfterJobFinishes", "ttlSecondsAfterFinished"} & set(spec):
        yield "deletionRules exclude shutdownAfterJobFinishes and ttlSecondsAfterFinished"
    if spec["backoffLimit"] < 1:
        yield "without a retry, a lost head ends the run"
    rules = spec["deletionStrategy"]["deletionRules"]
    for rule in rules:
        condition = rule["condition"]
        if ("jobStatus" in condition) == ("jobDeploymentStatus" in condition):
            yield "a deletion rule has exactly one of jobStatus and jobDeploymentStatus"
        if condition.get("jobStatus", "FAILED") not in ("SUCCEEDED", "FAILED"):
            yield f"jobStatus {condition['jobStatus']} is no end"
    for status in ("SUCCEEDED", "FAILED"):
        own = [rule for rule in rules if rule["condition"].get("jobStatus") == status]
        if not any(rule["policy"] in ("DeleteCluster", "DeleteSelf") for rule in own):
            yield f"the cluster of a job that {status} is never deleted"
        order = {"DeleteWorkers": 0, "DeleteCluster": 1, "DeleteSelf": 2, "DeleteNone": 0}
        if sorted(own, key=lambda r: r["condition"]["ttlSeconds"]) != sorted(own, key=lambda r: order[r["policy"]]):
            yield f"{status}: workers go before the cluster, the cluster before the job"


def cluster_problems(cluster: dict[str, Any]) -> Iterator[str]:
    if cluster["headGroupSpec"]["rayStartParams"].get("num-cpus") != "0":
        yield 'the head needs num-cpus: "0"'
    groups = cluster["workerGroupSpecs"]
    if len({group["groupName"] for group in groups}) != len(groups):
        yield "group names must differ"
    for group in groups:
        if not group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]:
            yield f"{group['groupName']}: min <= replicas <= max does not hold"
        if {"num-cpus", "num-gpus", "memory", "resources", "labels"} & set(group["rayStartParams"]):
            yield f"{group['groupName']}: resources are the container's, not in rayStartParams"
        if {"CPU", "GPU"} & set(group.get("resources", {})):
            yield f"{group['groupName']}: CPUs and GPUs are the container's"
        if "nvidia.com/gpu" in str(group) and group["groupName"] not in group.get("resources", {}):
            yield f"{group['groupName']}: nothing marks its GPUs, so that another role may take them"
    for group in (cluster["headGroupSpec"], *groups):
        yield from pod_problems(group["template"]["spec"], cluster["rayVersion"])


def pod_problems(pod: dict[str, Any], ray_version: str) -> Iterator[str]:
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for container in pod["containers"]:
        if not container["image"].endswith(f"ray{ray_version}"):
            yield f"image {container['image']} is not of Ray {ray_version}"
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        if not set(mounts.values()) <= set(volumes):
            yield "a mount has no volume"
        elif "persistentVolumeClaim" not in volumes.get(mounts.get("/shared", ""), {}):
            yield "a retry finds its work only on a claimed volume at /shared"
        elif volumes.get(mounts.get("/dev/shm", ""), {}).get("emptyDir", {}).get("medium") != "Memory":
            yield "/dev/shm must be memory"
        gpus = container["resources"]["limits"].get("nvidia.com/gpu")
        shared_memory = volumes.get(mounts.get("/dev/shm", ""), {}).get("emptyDir", {}).get("sizeLimit", "0Gi")
        if gpus and int(shared_memory.removesuffix("Gi")) << 30 < TWO_VERSIONS_BYTES:
            yield "/dev/shm holds no two versions of the weights"
        tolerated = {toleration["key"] for toleration in pod.get("tolerations", [])}
        if gpus and "nvidia.com/gpu" not in tolerated:
            yield "a GPU pod must tolerate GPU nodes"
        if container["resources"]["requests"] != container["resources"]["limits"]:
            yield "requests and limits must be the same: Ray counts what it is limited to"


@pytest.fixture
def manifest() -> dict[str, Any]:
    loaded = yaml.safe_load(MANIFEST.read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_manifest_is_valid(manifest: dict[str, Any]) -> None:
    assert problems(manifest) == []


def test_ray_is_the_installed_one(manifest: dict[str, Any]) -> None:
    assert manifest["spec"]["rayClusterSpec"]["rayVersion"] == version("ray")
    assert f"temporay:{version('temporay')}-ray" in MANIFEST.read_text()


def test_entrypoint_is_a_command_with_a_preset(manifest: dict[str, Any]) -> None:
    program, command, *arguments = manifest["spec"]["entrypoint"].split()
    assert (program, command) == ("temporay", "sft")
    config = config_of(command, arguments)
    assert config.data
    assert set(config.worker_resources) <= {
        name for group in groups_of(manifest) for name in group.get("resources", {})
    }


def cluster_of(manifest: dict[str, Any]) -> Any:
    return manifest["spec"]["rayClusterSpec"]


def groups_of(manifest: dict[str, Any]) -> Any:
    return cluster_of(manifest)["workerGroupSpecs"]


def group_of(manifest: dict[str, Any], index: int) -> Any:
    return groups_of(manifest)[index]


def pod_of(manifest: dict[str, Any], index: int) -> Any:
    return group_of(manifest, index)["template"]["spec"]


def rules_of(manifest: dict[str, Any]) -> Any:
    return manifest["spec"]["deletionStrategy"]["deletionRules"]


MISTAKES: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda m: m.update(apiVersion="ray.io/v1alpha1"), "ray.io/v1"),
    (lambda m: m["spec"].update(backofLimit=3), "backofLimit"),
    (lambda m: m["spec"].update(submissionMode="JobMode"), "JobMode"),
    (lambda m: m["spec"].update(backoffLimit=0), "retry"),
    (lambda m: m["metadata"].update(name="Temporay_SFT"), "DNS-1035"),
    (lambda m: m["metadata"].update(name="t" * 48), "47"),
    (lambda m: m["spec"].update(shutdownAfterJobFinishes=True), "exclude"),
    (lambda m: rules_of(m)[0]["condition"].update(jobDeploymentStatus="Failed"), "exactly one"),
    (lambda m: rules_of(m)[0]["condition"].update(jobStatus="RUNNING"), "no end"),
    (lambda m: rules_of(m)[0].update(policy="DeleteAll"), "DeleteAll"),
    (lambda m: rules_of(m).pop(), "FAILED is never deleted"),
    (lambda m: rules_of(m)[1]["condition"].update(ttlSeconds=7200), "before the cluster"),
    (lambda m: cluster_of(m).update(rayVersion="2.59.0"), "not of Ray 2.59.0"),
    (lambda m: cluster_of(m)["authOptions"].update(mode="disabled"), "token"),
    (lambda m: cluster_of(m).pop("authOptions"), "authOptions"),
    (lambda m: cluster_of(m)["autoscalerOptions"].update(version="v1"), "v2"),
    (lambda m: cluster_of(m)["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}), "0 is not of type 'string'"),
    (lambda m: cluster_of(m)["headGroupSpec"]["rayStartParams"].pop("num-cpus"), "num-cpus"),
    (lambda m: group_of(m, 0).update(replicas=17), "min <= replicas <= max"),
    (lambda m: group_of(m, 2).update(minReplicas=2), "min <= replicas <= max"),
    (lambda m: group_of(m, 1).update(groupName="data"), "differ"),
    (lambda m: group_of(m, 1)["rayStartParams"].update({"num-gpus": "1"}), "resources are the container's"),
    (lambda m: group_of(m, 1).pop("resources"), "nothing marks its GPUs"),
    (lambda m: group_of(m, 2)["resources"].update(GPU="8"), "CPUs and GPUs are the container's"),
    (lambda m: pod_of(m, 1)["volumes"][1]["emptyDir"].update(sizeLimit="16Gi"), "no two versions of the weights"),
    (lambda m: pod_of(m, 0).update(restartPolicy="Always"), "Never"),
    (lambda m: pod_of(m, 1).pop("tolerations"), "tolerate"),
    (lambda m: pod_of(m, 1)["volumes"].pop(0), "no volume"),
    (
        lambda m: pod_of(m, 1)["volumes"][0].update(emptyDir=pod_of(m, 1)["volumes"][0].pop("persistentVolumeClaim")),
        "claimed",
    ),
    (lambda m: pod_of(m, 1)["volumes"][1]["emptyDir"].pop("medium"), "memory"),
    (lambda m: pod_of(m, 2)["securityContext"].update(runAsNonRoot=False), "True was expected"),
    (lambda m: pod_of(m, 2)["containers"][0].update(image="temporay:latest"), "not of Ray"),
    (lambda m: pod_of(m, 2)["containers"][0]["resources"]["limits"].update(cpu="65"), "the same"),
    (lambda m: pod_of(m, 2)["containers"][0]["resources"]["limits"].update(cpu=64), "not of type 'string'"),
]


@pytest.mark.parametrize(("plant", "found"), MISTAKES, ids=[found for _, found in MISTAKES])
def test_planted_mistake_is_found(
    manifest: dict[str, Any], plant: Callable[[dict[str, Any]], object], found: str
) -> None:
    plant(manifest)
    assert found in "; ".join(problems(manifest))
