# Every target sets up what it needs: a virtual environment with the package and its tools, from PyPI alone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
C_FILES := $(wildcard micro/*/*.c micro/*/*.cc micro/*/*.h tests/*/*.c tests/*/*.cc)
C_FILES += $(wildcard examples/*/firmware/*.[ch])
C_FILES += $(wildcard $(addprefix tests/tflm/headers/tensorflow/lite/micro/,*.h */*.h))

export TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_ENABLE_ONEDNN_OPTS ?= 0

.PHONY: setup demo test lint docs format bench results fuzz clean

setup: $(VENV)/.ready

$(VENV)/.ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# Trains, exports, verifies and runs the firmware on an emulated Cortex-M4; leaves everything in build/demo.
demo: setup
	$(BIN)/python examples/digits.py --out build/demo

test: setup
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -n $(JOBS) --dist loadfile
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n $(JOBS) --dist loadfile tests/tern_keras

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)

# The guides, and the reference from the docstrings; a warning is an error.
docs: setup
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky docs build/docs

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(C_FILES)

# Half an hour: every layer on every core, the networks, and the page about them.
bench: setup
	$(BIN)/python benchmarks/kernels.py --core m4 m7 m3 m0 m55 rv32 --write
	$(BIN)/python benchmarks/models.py --core m4 m7 m3 m0 m55 rv32 --write
	$(BIN)/python benchmarks/page.py
	$(BIN)/python benchmarks/reference_kernels.py
	$(BIN)/python benchmarks/export.py

# The page about the papers' experiments, from the rows that examples/reproduce/*.py recorded.
results: setup
	$(BIN)/python examples/reproduce/page.py

# Damaged .tflite files, each to be refused or exported right: minutes. FUZZ="--seed N" repeats one.
FUZZ ?= --count 10000 --jobs $(JOBS)
fuzz: setup
	PYTHONPATH=.:tests $(BIN)/python tests/tflite_export/fuzz_tflite.py $(FUZZ)

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache $(VENV)
