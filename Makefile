# Everything here is short for commands that can be given by hand. Only
# parity and bench need more than Go and a C compiler: Python 3.11 or newer.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    := 10s
PYTHON      := python3
VENV        := .venv
PARITY_DIR  := runs/parity
TARGETS     := triton huggingface torch-fidelity float16 int8 web
TORCH       :=
PUPPETEER   := 24.43.1
BROWSERS    :=
QUICK       :=
GOLDEN      :=
KILLS       := 200
KILLED      :=
FAILED      :=
DENSE       := 1000000
ARCHITECTURE := 90
PLATFORMS    :=
VERSION      = $(shell git describe --always --dirty)

.PHONY: demo quick test golden golden-go golden-python lint bench bench-growth bench-cuda-kit bench-cuda bench-test device-test device-test-cuda device-test-webgpu platforms release runtimes microbench fuzz crash-test parity parity-runtimes parity-evaluation page-test page-picture cluster-test container-test clean

demo:
	go run ./cmd/ebm demo

# After each change. Packages that nothing changed for are not tested again.
quick:
	go vet ./...
	go test -short ./...

test:
	go test ./...

# Every golden file of every kind. Look at the difference before committing it.
golden: golden-go golden-python
	git status --short

# What this program writes: whichever test takes -update.
golden-go:
	go test $$(grep -l --include='*_test.go' -r 'flag.Bool("update"' . | xargs -n 1 dirname | sort -u) -run 'Golden|Document|Probe|Layouts|EventFiles' -update

# What other programs say, some ten minutes of one core. Each folder of golden files has
# a requirements.txt with the versions that they were made with, which are installed in
# VENV when its turn comes: NumPy, and
#   evaluate              PyTorch (7 GB), SciPy, scikit-learn, pytorch-fid, torch-fidelity, torchmetrics, vendi-score
#   export/onnximport     PyTorch, onnx, onnxscript
#   export/onnxpb         onnx
#   internal/picture      Pillow
#   mdsm, mdsm/train      PyTorch, SciPy; onnx, torchvision, peft, transformers
#   mdsm/ais, mdsm/mcmc   ArviZ
#   models                PyTorch; for models/inception also Pillow, torchvision, pytorch-fid, torch-fidelity
#   testdata              PyTorch, onnx, safetensors
# GOLDEN takes some of the scripts, such as GOLDEN=mdsm/train. With another PyTorch the
# last bits of float32 differ, what models/energy trains differs more, and so do the
# bytes of ONNX files: keep the old files unless something else changed.
golden-python:
	@echo "Python 3.11 or newer is needed; PyTorch and others (7 GB) go into $(VENV)"
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@set -e; for script in $$(git ls-files '*/testdata/make_*.py' 'testdata/make_*.py' | grep '$(GOLDEN)'); do \
		folder=$$(dirname $$script); echo "$$script"; \
		$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $$folder/requirements.txt; \
		(cd $$folder && $(abspath $(VENV))/bin/python $$(basename $$script)); \
	done

lint:
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

# Our side and PyTorch's by turns; PyTorch (7 GB) is installed where VENV lacks
# it. QUICK=1 takes minutes, and only the smaller jobs. Results go to bench/.
bench: bench-test bench/ebm
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -c 'import torch, pytorch_fid' 2>/dev/null || \
		$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r cmd/internal/bench/python/requirements.txt
	$(VENV)/bin/python cmd/internal/bench/python/compare.py --ebm bench/ebm $(if $(QUICK),--quick)

# Our side alone over batch, width, number of samples, threads and processes.
bench-growth: bench/ebm
	$(PYTHON) cmd/internal/bench/python/growth.py --ebm bench/ebm $(if $(QUICK),--quick)

# All that a machine with an NVIDIA device needs, without a network and without Go, to
# measure this program beside the PyTorch that is there: a script, and the program with
# ONNX Runtime's CUDA build in parts below 60 MB. ARCHITECTURE is the device's compute
# capability (90: H100, H200; 0: all, which takes a few parts more).
bench-cuda-kit: bench/ebm
	$(PYTHON) cmd/internal/bench/cuda/kit.py --ebm bench/ebm --library "$$(cmd/internal/bench/cuda/install.sh bench/ebm bench/device)" \
		--out bench/cuda-kit --architecture $(ARCHITECTURE)

# The same on this machine, in parts of some minutes each, which print as they go.
bench-cuda: bench-cuda-kit
	$(PYTHON) bench/cuda-kit/run.py --out bench/cuda-results --minutes 120

# ONNX Runtime's CUDA build (250 MB, once) over stub libraries that count.
device-test-cuda: bench/ebm
	cmd/internal/bench/cuda/test.sh bench/ebm bench/device

# The program built for other platforms and run there, as far as emulators go, with its
# numbers compared; archives for people without Go; and every version of ONNX Runtime.
platforms:
	$(PYTHON) deploy/platforms/platforms.py bench/platforms $(PLATFORMS)

release:
	$(PYTHON) deploy/release.py bench/release $(VERSION)

runtimes: bench/ebm
	$(PYTHON) deploy/platforms/runtimes.py --ebm bench/ebm --out bench/runtimes

bench-test:
	cd cmd/internal/bench/python && $(PYTHON) -m unittest -q compare_test
	cd cmd/internal/bench/cuda && $(PYTHON) -m unittest -q cuda_test

.PHONY: bench/ebm
bench/ebm:
	go build -o $@ ./cmd/ebm

microbench:
	go test -run '^$$' -bench . -benchmem ./...

# Every fuzz target for FUZZTIME. Their seeds also run as ordinary tests.
fuzz:
	@set -e; for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

# Commands are killed at random moments (KILLS each, of those that KILLED names,
# else all), their system calls failed one after another (of those that FAILED
# names; calls after the first DENSE of a kind ever further apart), and their disk
# filled. It takes hours at full size. Failing calls needs strace, filling a disk
# the right to mount one; without, that part says so and is skipped.
crash-test:
	go test -tags crash -timeout 0 -v -run '^TestCrash' ./cmd/ebm -kills $(KILLS) -killed '$(KILLED)' -failed '$(FAILED)' -dense $(DENSE)

# Slurm, Open MPI and MPICH of Debian, installed where they are missing (as root),
# on this machine alone (minutes): jobs killed, requeued and drained, ranks killed and
# resumed, and the bytes of one process each time. Manifests of Kubernetes are decoded,
# and their commands run; no cluster does.
cluster-test:
	@for p in slurm-wlm munge openmpi-bin libopenmpi-dev mpich libmpich-dev procps; do \
		dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; }
	go build -o bench/cluster/ebm ./cmd/ebm
	CC=mpicc.openmpi go build -tags mpi -o bench/cluster/ebm-openmpi ./cmd/ebm
	CC=mpicc.mpich go build -tags mpi -o bench/cluster/ebm-mpich ./cmd/ebm
	deploy/mpi/test.sh bench/cluster
	deploy/slurm/test.sh bench/cluster/ebm bench/cluster/ebm-openmpi
	cd deploy/kubernetes && EBM=$(CURDIR)/bench/cluster/ebm EBM_LIBRARY=$$(go list -C $(CURDIR) -m -f '{{.Dir}}' github.com/k2-fsa/sherpa-onnx-go-linux)/lib/$$(uname -m)-unknown-linux-gnu/libonnxruntime.so go test -count=1 ./...

# What devices compute, against the CPU; and CUDA without a device, up to arithmetic.
device-test: device-test-webgpu device-test-cuda

# WebGPU: the build with the plugin is installed under DEVICE_DIR by pip, and Mesa's
# software device unpacked beside it (Debian's packages) unless VK_DRIVER_FILES names the
# driver of another device. Shaders are kept from run to run.
DEVICE_DIR := $(abspath bench/device)
device-test-webgpu:
	go build -o $(DEVICE_DIR)/ebm ./cmd/ebm
	[ -n "$$VK_DRIVER_FILES" ] || deploy/device/vulkan.sh $(DEVICE_DIR)/vulkan
	set -e; export XDG_CACHE_HOME=$(DEVICE_DIR)/cache GOCACHE=$$(go env GOCACHE); unset EBM_ORT_LIBRARY; \
	[ -d $(DEVICE_DIR)/cache/ebm/onnxruntime/*-webgpu ] || $(DEVICE_DIR)/ebm runtime install --provider webgpu; \
	[ -n "$$VK_DRIVER_FILES" ] || . $(DEVICE_DIR)/vulkan/env; \
	$(DEVICE_DIR)/ebm runtime info --provider webgpu; \
	go test -tags device -count 1 -timeout 30m -v -run '^TestDevice|^TestAutoTakes' ./runtime ./cmd/ebm; \
	EBM_TEST_DEVICE=webgpu go test -count 1 -timeout 30m -v -run '^TestCount|^TestDevices' ./export ./mdsm/langevin ./mdsm/restore ./mdsm/hmc

# deploy/Containerfile built and run by buildah, which is installed where it is missing (as
# root), on stand-ins for its base images, since no registry is asked.
container-test:
	@command -v buildah >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends buildah; }
	go build -o bench/cluster/ebm ./cmd/ebm
	EBM_LIBRARY=$$(go list -m -f '{{.Dir}}' github.com/k2-fsa/sherpa-onnx-go-linux)/lib/$$(uname -m)-unknown-linux-gnu/libonnxruntime.so deploy/container-test.sh bench/cluster/ebm

# Exported files under the onnx package's checker and Python's ONNX Runtime.
parity: $(VENV)/ready
	cd cmd/internal/parity && ../../../$(VENV)/bin/python -m unittest -q parity_test >/dev/null
	rm -rf $(PARITY_DIR)
	go run ./cmd/internal/parity/writer $(PARITY_DIR)
	$(VENV)/bin/python cmd/internal/parity/parity.py $(PARITY_DIR) energy score hvp train sampler denoise $(addprefix steps/,resnet18 vit gpt2 lstm lora)

# Files for other programs, taken to these programs. TORCH=1 installs PyTorch
# (7 GB) for torch-fidelity; what is not here is said to be not run.
parity-runtimes: $(VENV)/$(if $(TORCH),torch,runtimes)-ready
	cd cmd/internal/parity && ../../../$(VENV)/bin/python -m unittest -q runtimes_test
	rm -rf $(PARITY_DIR)
	go run ./cmd/internal/parity/writer $(PARITY_DIR)
	set -e; for target in $(TARGETS); do \
		steps=; if [ $$target = torch-fidelity ]; then steps="--steps 20"; fi; \
		go run ./cmd/ebm export --quiet --provider cpu --weights $(PARITY_DIR)/model.safetensors --for $$target $$steps --out $(PARITY_DIR)/for/$$target >/dev/null; \
	done
	$(VENV)/bin/python cmd/internal/parity/runtimes.py $(PARITY_DIR) --require onnx onnxruntime openvino triton hub $(if $(TORCH),torch-fidelity)

# Pages of one file, and the page of ebm watch, in Chromium and Firefox, those that
# are installed (Debian's packages chromium and firefox-esr), driven by
# puppeteer-core.
PAGE_DIR := $(PARITY_DIR)/page
PAGE     := $(PAGE_DIR)/ebm export --quiet --provider cpu --for page
page-test:
	mkdir -p $(PAGE_DIR)
	test -d $(PAGE_DIR)/node_modules/puppeteer-core || (cd $(PAGE_DIR) && npm install --no-save --silent --ignore-scripts puppeteer-core@$(PUPPETEER))
	go build -o $(PAGE_DIR)/ebm ./cmd/ebm
	go run ./cmd/internal/parity/writer $(PAGE_DIR)/models
	$(PAGE_DIR)/ebm runtime install --quiet --provider web
	rm -rf $(PAGE_DIR)/rings $(PAGE_DIR)/samples $(PAGE_DIR)/few $(PAGE_DIR)/inpaint $(PAGE_DIR)/sevens
	$(PAGE_DIR)/ebm compose --quiet --run mnist16 --classifier mnist:7 --classifier-weight 30 --out $(PAGE_DIR)/sevens
	$(PAGE) --run mnist16 --precision float32 --steps 50 --sampler edm --levels 10 --out $(PAGE_DIR)/exact.html
	$(PAGE) --run mnist16 --precision float32 --steps 50 --images mnist:test --mask bottom --out $(PAGE_DIR)/given.html
	$(PAGE) --run mnist16 --out $(PAGE_DIR)/page.html
	$(PAGE) --run fashion16 --out $(PAGE_DIR)/fashion.html
	$(PAGE) --run $(PAGE_DIR)/sevens/score.onnx --name sevens --out $(PAGE_DIR)/sevens.html
	$(PAGE) --run $(PAGE_DIR)/models/points/mixture.onnx --steps 300 --out $(PAGE_DIR)/points.html
	$(PAGE_DIR)/ebm train --quiet --provider cpu --data rings --steps 600 --out $(PAGE_DIR)/rings
	$(PAGE) --run $(PAGE_DIR)/rings --out $(PAGE_DIR)/rings.html
	$(PAGE) --run testdata/energy.onnx --steps 50 --out $(PAGE_DIR)/colour.html
	$(PAGE_DIR)/ebm sample --quiet --provider cpu --run mnist16 --count 2 --steps 50 --seed 7 --raw --float32 --crop 0 --out $(PAGE_DIR)/samples
	$(PAGE_DIR)/ebm sample --quiet --provider cpu --run mnist16 --count 2 --sampler edm --levels 10 --seed 7 --raw --float32 --crop 0 --out $(PAGE_DIR)/few
	$(PAGE_DIR)/ebm inpaint --quiet --provider cpu --run mnist16 --images mnist:test --count 1 --mask bottom --completions 2 --steps 50 --seed 7 --out $(PAGE_DIR)/inpaint
	node cmd/internal/parity/page.mjs $(PAGE_DIR) $(BROWSERS)
	node cmd/internal/parity/watch.mjs $(PAGE_DIR)/ebm $(PAGE_DIR) $(BROWSERS)

# The pictures of a page in docs, after page-test
page-picture:
	node cmd/internal/parity/record.mjs $(PAGE_DIR)/page.html docs/pictures/page-sampling.png docs/pictures/page.png $(PAGE_DIR)

# ebm evaluate beside pytorch-fid and torch-fidelity, on the same random weights
# and pictures (PICTURES="NAME=FOLDER …" takes others). Installs PyTorch (7 GB).
parity-evaluation: $(VENV)/evaluation-ready
	cd cmd/internal/parity && ../../../$(VENV)/bin/python -m unittest -q evaluation_test
	go build -o $(PARITY_DIR)/ebm ./cmd/ebm
	$(VENV)/bin/python cmd/internal/parity/evaluation.py $(PARITY_DIR)/ebm $(PARITY_DIR)/evaluation $(PICTURES) --speed 48

$(VENV)/%-ready: cmd/internal/parity/requirements-%.txt $(VENV)/ready
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)/ready: cmd/internal/parity/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf $(VENV) $(PARITY_DIR)
