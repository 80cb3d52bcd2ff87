# knarr: make help lists what there is. A fresh Debian 12 machine, as root, needs `make up` and `make test`, nothing else.
BUILD ?= build
JOBS  ?= $(shell nproc)
KUBE_VERSION ?= v1.28.4

.PHONY: help deps build up images test test-asan test-tsan test-interchange test-kubeadm fuzz bench conformance fmt lint size build-report clean

help:            ## This list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

deps:            ## Install the Debian packages that build, run and test it (as root)
	@tools/deps.sh

build: deps      ## Build build/bin/knarr (Release)
	@tools/build.sh $(BUILD) Release

up: build        ## Build, then boot a one-node cluster and say what to type next
	@$(BUILD)/bin/knarr up

test: build      ## Build everything and run the tests
	@tools/test.sh $(BUILD)

test-asan: deps  ## The same tests under AddressSanitizer and UBSan
	@tools/build.sh build-asan Debug -DKNARR_SANITIZE=address,undefined
	@tools/test.sh build-asan

test-tsan: deps  ## The concurrent parts under ThreadSanitizer
	@tools/build.sh build-tsan Debug -DKNARR_SANITIZE=thread base_test store_test net_test apiserver_test
	@tools/test.sh build-tsan 'base_test|store_test|net_test|apiserver_test'

test-interchange: build ## Ours and upstream's parts, mixed, and each kubeadm's worker joined to the other's control plane (builds upstream's programs on first use)
	@tests/interchange/run.sh $(BUILD)
	@tests/kubeadm/join.sh $(BUILD) ours upstream
	@tests/kubeadm/join.sh $(BUILD) upstream ours

images: build    ## Container images of the control plane for kubeadm, in build/share/knarr/images-kubeadm
	@tools/make-images.sh $(BUILD)

test-kubeadm: build ## kubeadm beside upstream's: init compared, a worker joined, three hosts of ours (needs upstream's programs and images)
	@tests/kubeadm/compare.sh $(BUILD)
	@tests/kubeadm/join.sh $(BUILD) ours ours
	@tests/kubeadm/network.sh $(BUILD)

fuzz: deps       ## Run every fuzz target for FUZZ_SECONDS (60) each
	@tools/fuzz.sh

conformance: build ## The official suite: FOCUS=regex, NODES=2 for two workers instead of `knarr up`; counts go to docs/conformance.md
	@tests/conformance/run.sh $(BUILD)

bench: build     ## Ours and upstream side by side, as ratios
	@bench/run.sh $(BUILD)

fmt:             ## Format the sources
	@git ls-files '*.cc' '*.h' | xargs clang-format -i

lint:            ## Layer order, header costs, file sizes, documents that name what exists
	@tools/lint.py

size:            ## Text bytes by module
	@tools/size.sh $(BUILD)

build-report:    ## The 20 slowest units of the last build
	@awk -F'\t' 'NR>1 {printf "%7.1f s  %s\n", ($$2-$$1)/1000, $$4}' $(BUILD)/.ninja_log | sort -rn | head -20

clean:           ## Remove the build folders
	@rm -rf build build-*
