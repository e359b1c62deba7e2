"""Where the commands run beyond one machine. Imports none of the other packages.

submit.py       sends any command to a running head as a Ray job, follows its log, returns its exit code
aws.yaml        `ray up`: on-demand head and trainers, spot CPU nodes for data, spot GPU nodes for rollouts
local.yaml      `ray up`: machines you already have
rayjob.yaml     KubeRay: a command as a job on a cluster of its own, autoscaled, resumed from shared storage
Dockerfile      the image rayjob.yaml runs
"""
