"""Settings that Ray, vLLM and Hugging Face read while they are imported; set before any of them is.

Whatever the user has set already stays.
"""

import logging
import os

DEFAULTS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Train's controller takes one report per poll; its default of 2 s would slow a run of small steps.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # Where workers have no room, the driver takes over after this time, and says what it waits for.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "30",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",  # commands show a progress of their own
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TOKENIZERS_PARALLELISM": "false",
}
for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)


def quiet_libraries() -> None:
    """Leaves the terminal to what our commands say; errors still come through."""
    for name in ("ray", "ray.data", "ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)
