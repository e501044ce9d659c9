# What one can do here. `make` alone explains itself.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

GO ?= go
# No cgo: the binary runs on any distribution and in an empty image. No VCS
# stamp: building as another user than the owner of the clone would fail.
export CGO_ENABLED := 0
BUILD_FLAGS := -trimpath -buildvcs=false -ldflags='-s -w'
TOOL := $(GO) tool -modfile=tools/go.mod
# Only what has to be root, so that the build cache stays the user's.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -E)

CONFIG ?= distribution/config.yaml
# lean or full: the set of components in the image.
IMAGE_SET ?= full
FUZZ_TIME ?= 20s
BENCH ?= .
BENCH_COUNT ?= 6
SECTIONS ?=
KERNELS ?= 6.1 6.12

# Go modules of their own below this one, which ./... does not reach.
MODULES := exporter/objectstoreexporter test/deploy
LINTER := tools/golangci-lint/go.mod

.PHONY: help
help: ## this list
	@echo 'make TARGET'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- building and running ---

.PHONY: build
build: ## dist/otelcol-qtap, the lean set: all that is needed to try and to test
	cd distribution/otelcol-qtap-lean && $(GO) build $(BUILD_FLAGS) -o ../../dist/otelcol-qtap .

.PHONY: build-full
build-full: ## dist/otelcol-qtap-full, with what other collectors have (cold: 20 min, 8 GB of memory)
	cd distribution/otelcol-qtap && $(GO) build $(BUILD_FLAGS) -o ../../dist/otelcol-qtap-full .

# Cold it takes as long as build for each architecture.
.PHONY: image
image: ## dist/otelcol-qtap-image.tar, an OCI archive for amd64 and arm64 (IMAGE_SET=full), as root
	mkdir -p dist/image
	for architecture in amd64 arm64; do \
		(cd distribution/otelcol-qtap$(if $(filter lean,$(IMAGE_SET)),-lean) && \
			GOARCH=$$architecture $(GO) build $(BUILD_FLAGS) -o ../../dist/image/collector-$$architecture .); \
		GOARCH=$$architecture $(GO) build $(BUILD_FLAGS) -o dist/image/entrypoint-$$architecture ./distribution/image/entrypoint; \
	done
	$(AS_ROOT) distribution/image/build.sh dist/otelcol-qtap-image.tar dist/image

.PHONY: run
run: build ## build it and watch this host (CONFIG=distribution/config.yaml)
	$(AS_ROOT) dist/otelcol-qtap --config $(CONFIG)

.PHONY: clean
clean: ## remove what was built and recorded here
	rm -rf dist qtap-data

# --- testing ---

# Without the race detector's cgo and without the kernel: everything after
# internal/event runs as any user on any system.
PORTABLE = $$($(GO) list ./... | grep -v -e /test/e2e -e /test/delivery -e /test/dropin)

.PHONY: unit
unit: ## tests that need no privileges (under 2 min)
	$(GO) test -short $(PORTABLE)
	cd exporter/objectstoreexporter && $(GO) test -short ./...

.PHONY: test
test: deps build ## unit and end-to-end tests, as root (not those that need the full set: drop-in, delivery, deploy)
	$(GO) test -count=1 $(PORTABLE)
	cd exporter/objectstoreexporter && $(GO) test -count=1 ./...
	$(MAKE) --no-print-directory e2e

.PHONY: race
race: ## unit tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short $(PORTABLE)
	cd exporter/objectstoreexporter && CGO_ENABLED=1 $(GO) test -race -short ./...

.PHONY: e2e
e2e: build ## end-to-end tests with the real binary, as root
	QTAP_BINARY=$(CURDIR)/dist/otelcol-qtap $(GO) test -count=1 -timeout 20m ./test/e2e/...

.PHONY: servers
servers: ## dist/servers: the programs that the delivery tests start (cold: 10 min, 5 GB of memory)
	$(MAKE) --no-print-directory -C test/delivery/servers OUT=$(CURDIR)/dist/servers

.PHONY: delivery
delivery: deps build build-full servers ## tests of distribution/examples against real back ends, as root
	QTAP_BINARY=$(CURDIR)/dist/otelcol-qtap QTAP_FULL_BINARY=$(CURDIR)/dist/otelcol-qtap-full \
		$(GO) test -count=1 -timeout 15m ./test/delivery

.PHONY: drop-in
drop-in: deps build-full ## distribution/dropin: usual configurations of other collectors, with the full set
	QTAP_FULL_BINARY=$(CURDIR)/dist/otelcol-qtap-full $(GO) test -count=1 -timeout 15m ./test/dropin

.PHONY: deploy
deploy: deps build-full image ## tests of the image, the systemd unit and the Kubernetes objects, as root
	cd test/deploy && $(GO) test -count=1 -timeout 20m .

.PHONY: kernels
kernels: build ## the kernel side on Debian's kernels in qemu (KERNELS="6.1 6.12"; apt-get install qemu-system-x86 busybox-static cpio)
	test/kernels/run.sh dist/otelcol-qtap $(KERNELS)

# Every value is kept in dist/bench in Go's benchmark format, so that two
# versions can be compared: benchstat OLD/stages.txt dist/bench/stages.txt.
.PHONY: bench
bench: build ## figures: stages from replay (BENCH=.), then the whole on this machine (SECTIONS=, every one), as root
	mkdir -p dist/bench
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(BENCH_COUNT) ./internal/... | tee dist/bench/stages.txt
	$(TOOL) benchstat dist/bench/stages.txt
	$(GO) build -trimpath -o dist/bench/bench ./test/bench
	$(AS_ROOT) dist/bench/bench -out dist/bench/whole.txt $(SECTIONS)
	$(TOOL) benchstat -filter '.name:(Call OR Steady OR Saturated)' -col '/state@(bare watched)' dist/bench/whole.txt

.PHONY: fuzz
fuzz: ## every fuzz test for FUZZ_TIME=20s
	@grep -rl --include='*_test.go' '^func Fuzz' internal exporter | sort | while read -r file; do \
		grep -o '^func Fuzz[A-Za-z0-9_]*' "$$file" | cut -c6- | while read -r name; do \
			echo "== $$(dirname "$$file") $$name"; \
			(cd "$$(dirname "$$file")" && $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZ_TIME) .); \
		done; \
	done

.PHONY: lint
lint: ## golangci-lint, with the settings of .golangci.yml
	$(GO) tool -modfile=$(LINTER) golangci-lint run
	for module in $(MODULES); do \
		(cd $$module && $(GO) tool -modfile=../../$(LINTER) golangci-lint run --config ../../.golangci.yml); \
	done

.PHONY: fmt
fmt: ## format as lint wants it
	$(GO) tool -modfile=$(LINTER) golangci-lint fmt

# --- generated files: they are committed, nobody needs this to build ---

# The full set has dependencies whose own tests cannot be resolved, so the
# builder cannot fetch its modules; tidy -e passes over them, and build-full
# shows that nothing else is missing. What it passes over depends on what can
# be fetched at the time, so it runs only when something that is compiled is
# missing.
.PHONY: generate
generate: ## go.mod, mdatagen, bpf2go (clang-14) and both distributions
	$(GO) mod tidy
	$(GO) generate ./...
	for module in $(MODULES); do (cd $$module && $(GO) mod tidy && $(GO) generate ./...); done
	$(TOOL) builder --config builder-config-lean.yaml --skip-compilation
	$(TOOL) builder --config builder-config.yaml --skip-compilation --skip-get-modules
	cd distribution/otelcol-qtap && { $(GO) list -mod=readonly -deps . >/dev/null 2>&1 || $(GO) mod tidy -e >/dev/null 2>&1; }

# The builder does not write go.mod when it does not fetch modules, and cannot
# fetch all (see above): its errors are expected, the last line is the check.
.PHONY: full-modules
full-modules: ## go.mod and go.sum of the full set, after a change of versions in builder-config.yaml
	-GOFLAGS=-e $(TOOL) builder --config builder-config.yaml --skip-compilation
	cd distribution/otelcol-qtap && $(GO) list -mod=readonly -deps . >/dev/null

.PHONY: verify-generated
verify-generated: deps ## fail when a generated file is not what its source gives
	@sums() { \
		git ls-files -z --cached --others --exclude-standard | \
			{ xargs -0 sha256sum 2>/dev/null || true; } | sort -k2; \
	}; \
	before=$$(mktemp); trap 'rm -f "$$before"' EXIT; \
	sums > "$$before"; \
	$(MAKE) --no-print-directory generate; \
	diff "$$before" <(sums) || \
		{ echo 'generated files have changed: run make generate and commit the result' >&2; exit 1; }

.PHONY: recordings
recordings: ## record testdata/events anew (RECORD="NAME ...": only these), as root, and their golden records
	$(GO) build -trimpath -o dist/record/ ./cmd/qtaprecord ./test/e2e/programs/goserver ./test/e2e/programs/goclient
	$(AS_ROOT) /usr/bin/python3 -B test/record/record.py dist/record $(RECORD)
	$(GO) test -count=1 ./internal/pipeline -run Golden -update

# --- the machine ---

# PROGRAM:PACKAGE. clang-14 is pinned because another version gives another
# BPF object; it is needed for make generate only.
DEPENDENCIES := clang-14:clang-14 llvm-strip-14:llvm-14 bpftool:bpftool \
	/usr/include/bpf/bpf_helpers.h:libbpf-dev \
	nginx:nginx-light wrk:wrk curl:curl python3:python3 node:nodejs \
	ip:iproute2 setpriv:util-linux gcc:gcc \
	openssl:openssl wget:wget gnutls-serv:gnutls-bin /usr/sbin/apache2:apache2-bin \
	/usr/lib/nginx/modules/ngx_http_js_module.so:libnginx-mod-http-js \
	buildah:buildah runc:runc setcap:libcap2-bin systemd-analyze:systemd journalctl:systemd \
	/usr/share/ca-certificates/mozilla:ca-certificates \
	ruby:ruby php:php-cli /usr/share/perl5/IO/Socket/SSL.pm:libio-socket-ssl-perl \
	/usr/share/doc/libcurl3-nss:libcurl3-nss

.PHONY: deps
deps: ## install the Debian packages that generate, test and bench need and that are missing
	@missing=; for dependency in $(DEPENDENCIES); do \
		program=$${dependency%%:*}; \
		command -v "$$program" >/dev/null || test -e "$$program" || missing+=" $${dependency#*:}"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	echo "installing:$$missing"; \
	$(AS_ROOT) apt-get update -qq && \
	$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing
