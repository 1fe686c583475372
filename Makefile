# FaDO: https://github.com/fado-project/fado
#
# `make help` lists the targets. Everything that is not Go itself is built from
# pinned versions into .tools/bin, which git ignores.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CADDY_VERSION     := v2.11.9
MINIO_VERSION     := v0.0.0-20250907161309-07c3a429bfed
MINIO_MUTE        := v0.0.0-20260212201848-7aac2a2c5b7c
VERSITYGW_VERSION := v1.8.0
GOLANGCI_VERSION  := v2.15.0
MC_VERSION        := v0.0.0-20250313080218-cf909e1063a9
RCLONE_VERSION    := v1.76.0
GOVULNCHECK_VERSION := v1.9.0
VULNDB              := https://vuln.go.dev

MODULE  := github.com/fado-project/fado
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# Caddy's own builds leave these parts of smallstep/nosql out too.
TAGS    := nobadger,nomysql,nopgx
TOOLS   := $(CURDIR)/.tools/bin
STAMPS  := $(CURDIR)/.tools/stamps
GOSRC   := $(shell find . -name '*.go' -not -path './.tools/*' 2>/dev/null) go.mod go.sum \
           $(shell find . \( -name '*.sql' -o -name '*.json' \) -not -path './.*' -not -path '*/node_modules/*' 2>/dev/null) \
           $(shell find admin/console/dist -type f 2>/dev/null)

# Every package but these runs under the race detector as well. The SQLite driver is
# machine-translated C and crawls under it, and what only exercises SQL through it
# runs without; so do the programs (examples, bench) and chaos, whose FaDO is a
# process of its own.
NO_RACE   := state/sqlite state/statetest state/transfer internal/chaos bench examples cmd
RACE_PKGS  = $(shell go list -tags $(TAGS) ./... | grep -Ev '^$(MODULE)/($(subst $(eval) ,|,$(NO_RACE)))(/|$$)')

# What the released binary is built for besides the machine at hand.
CROSS := windows/amd64 darwin/arm64 linux/arm64

# How long each fuzz target runs. A finding is written to testdata/fuzz of its package:
# commit it, every later `make test` runs it.
FUZZTIME ?= 20s

export FADO_TOOLS := $(TOOLS)

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: bin/caddy ## bin/caddy, through xcaddy, static

bin/caddy: $(GOSRC)
	@mkdir -p bin
	@CGO_ENABLED=0 XCADDY_SKIP_CLEANUP=0 \
	XCADDY_GO_BUILD_FLAGS="-v -ldflags '-s -w -X $(MODULE)/caddymodule.version=$(VERSION)'" \
	.ci/progress 'Caddy with FaDO (bin/caddy)' 1130 6 \
	go tool -modfile=.ci/tools/go.mod xcaddy build $(CADDY_VERSION) --output bin/caddy --with $(MODULE)@v0.0.0=.

bin/fn: $(wildcard examples/demo/function/*.go)
	@mkdir -p bin
	@CGO_ENABLED=0 .ci/progress 'the function server ($@)' 240 1 go build -v -o $@ ./examples/demo/function

bin/demo: $(wildcard examples/demo/*) $(wildcard examples/internal/stage/*.go internal/testenv/*.go)
	@mkdir -p bin
	@CGO_ENABLED=0 .ci/progress 'the demo ($@)' 280 1 go build -v -o $@ ./examples/demo

.PHONY: parts
parts: $(STAMPS)/minio-$(MINIO_VERSION) bin/caddy bin/fn ## what the tutorial needs: MinIO, Caddy with FaDO, the function server

.PHONY: demo
demo: parts bin/demo ## the main job on real parts; Ctrl-C ends it, DEMO_ONCE=1 walks through once
	@exec bin/demo

bin/ha: $(wildcard examples/ha/*) $(wildcard examples/internal/stage/*.go internal/testenv/*.go)
	@mkdir -p bin
	@CGO_ENABLED=0 .ci/progress 'the example ($@)' 280 1 go build -v -o $@ ./examples/ha

.PHONY: ha
ha: prereqs parts bin/ha ## two instances, PostgreSQL and a load balancer, and what happens when one is killed; HA_ONCE=1 walks through once
	@exec bin/ha

bin/migrate: $(wildcard examples/migrate/*) $(wildcard examples/internal/stage/*.go internal/testenv/*.go)
	@mkdir -p bin
	@CGO_ENABLED=0 .ci/progress 'the example ($@)' 280 1 go build -v -o $@ ./examples/migrate

.PHONY: migrate-demo
migrate-demo: parts bin/migrate $(STAMPS)/versitygw-$(VERSITYGW_VERSION) ## a MinIO is moved to versitygw under load, back, and for good, without a failed request
	@exec bin/migrate

.PHONY: test
test: prereqs tools ## every test once, on real MinIO, versitygw, PostgreSQL and SQLite
	CGO_ENABLED=0 FADO_REQUIRE_TOOLS=1 go test -tags $(TAGS) -timeout 20m ./...
	CGO_ENABLED=0 go test -C internal/checks -tags $(TAGS) -timeout 20m ./...

.PHONY: race
race: prereqs tools ## the tests of what is concurrent, under the race detector
	CGO_ENABLED=1 FADO_REQUIRE_TOOLS=1 go test -tags $(TAGS) -race -short -timeout 30m $(RACE_PKGS)

.PHONY: cover
cover: prereqs tools ## every test once with coverage; fails where a package falls below its floor in .ci/coverage. RAISE=1 raises the floors
	@mkdir -p bin
	CGO_ENABLED=0 FADO_REQUIRE_TOOLS=1 go test -tags $(TAGS) -timeout 30m -cover $(or $(PKGS),./...) | tee bin/cover.txt
	.ci/cover $(if $(RAISE),--raise) bin/cover.txt

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME=20s; the corpora are in testdata/fuzz and are run by make test, too
	@grep -rl --include='*_test.go' --exclude-dir=.tools '^func Fuzz' . | while read -r file; do \
		sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$$file" | while read -r target; do \
			echo "== $$(dirname "$$file") $$target"; \
			CGO_ENABLED=0 go test -tags $(TAGS) -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null; \
		done; \
	done

.PHONY: cross
cross: ## build for the other systems: windows, darwin, linux on arm64
	@for target in $(CROSS); do \
		echo "== $$target"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} go build -tags $(TAGS) -o /dev/null ./cmd/caddy; \
	done

# How often `make sim` runs each simulation.
SIM_RUNS ?= 20

# Tests of a package that are random: where FADO_SEED does not name their seeds, and
# RAPID_SEED those of property tests, `make test` takes the same ones each time.
export RAPID_SEED ?= 1

.PHONY: sim
sim: prereqs tools ## the simulations with random seeds, SIM_RUNS=20 runs each, and the property tests with others; a failure names its seed
	CGO_ENABLED=0 FADO_REQUIRE_TOOLS=1 FADO_SEED=$(or $(FADO_SEED),random) FADO_RUNS=$(SIM_RUNS) \
		go test -tags $(TAGS) -timeout 6h -count 1 -v -run 'TestSimulation|TestAnywhereConverges' ./replication
	CGO_ENABLED=0 FADO_REQUIRE_TOOLS=1 RAPID_SEED=0 RAPID_CHECKS=500 go test -tags $(TAGS) -timeout 1h -count 1 \
		$$(git grep -l '"pgregory.net/rapid"' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')

# For how long `make histories` disturbs storages.
HISTORY ?= 10m

.PHONY: histories
histories: prereqs tools ## clients of two S3 endpoints, storages disturbed for HISTORY=10m and instances killed, judged for linearizability; random seeds
	CGO_ENABLED=0 FADO_REQUIRE_TOOLS=1 FADO_SEED=$(or $(FADO_SEED),random) FADO_HISTORY=$(HISTORY) \
		go test -tags $(TAGS) -timeout 24h -count 1 -v -run TestHistoriesAreLinearizable ./s3gateway
	CGO_ENABLED=0 FADO_REQUIRE_TOOLS=1 FADO_SEED=$(or $(FADO_SEED),random) FADO_CHAOS_ROUNDS=$(CHAOS_ROUNDS) \
		go test -tags $(TAGS) -timeout 24h -count 1 -v -run TestHistoriesUnderKills ./internal/chaos

.PHONY: s3-suites
s3-suites: bin/caddy prereqs tools ## clients and test suites that others wrote, against the S3 endpoint and plain MinIO; SUITES="-t minio awscli" for a few
	@PREREQS=$(PREREQS) .ci/prereqs aws:awscli s3cmd:s3cmd rclone:rclone restic:restic s3fs:s3fs boto3:python3-boto3
	.ci/s3-suites $(SUITES)

CHAOS_ROUNDS ?= 300

.PHONY: chaos
chaos: prereqs tools ## hundreds of rounds of kills and storage faults, CHAOS_ROUNDS=300 by default
	CGO_ENABLED=0 FADO_REQUIRE_TOOLS=1 FADO_CHAOS_ROUNDS=$(CHAOS_ROUNDS) go test -tags $(TAGS) -timeout 3h -v -run TestChaos ./internal/chaos

.PHONY: bench
bench: bin/caddy bin/fn prereqs tools $(STAMPS)/mc-$(MC_VERSION) $(STAMPS)/rclone-$(RCLONE_VERSION) ## the benchmarks, each beside its peer; writes bench/RESULTS.md
	@PREREQS=$(PREREQS) .ci/prereqs wrk:wrk
	go run -tags $(TAGS) ./bench

.PHONY: lint
lint: $(STAMPS)/golangci-lint-$(GOLANGCI_VERSION) ## vet, formatting, the arrows between the rooms, and whether those rules bite
	$(TOOLS)/golangci-lint config verify
	$(TOOLS)/golangci-lint run --allow-serial-runners --build-tags $(TAGS) ./...
	cd internal/checks && $(TOOLS)/golangci-lint run --config ../../.golangci.yml --allow-serial-runners --build-tags $(TAGS) ./...
	FADO_REQUIRE_TOOLS=1 FADO_REQUIRE_LINT=1 go test -C internal/checks -tags $(TAGS) -count 1 ./...

.PHONY: reproducible
reproducible: ## fails where two builds of the release, in clones at different places, differ; FRESH=1 without caches
	@.ci/reproducible $(TAGS)

TIDY ?= -diff

.PHONY: tidy
tidy: ## fails, and shows the difference, where a go.mod or go.sum is not tidy; TIDY= tidies them
	go mod tidy $(TIDY)
	cd internal/checks && go mod tidy $(TIDY)
	cd examples/functions-framework && go mod tidy $(TIDY)
	cd .ci/tools && go mod tidy $(TIDY)

.PHONY: vuln
vuln: ## known vulnerabilities in what FaDO calls; skipped, and said, where the database can't be reached
	@if curl -fsS -m 10 -o /dev/null $(VULNDB)/index/db.json; then \
		go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) -db $(VULNDB) -tags $(TAGS) ./...; \
	else echo 'skipped: govulncheck, because $(VULNDB) can not be reached' >&2; fi

.PHONY: tools
tools: $(STAMPS)/minio-$(MINIO_VERSION) $(STAMPS)/minio-mute-$(MINIO_MUTE) $(STAMPS)/versitygw-$(VERSITYGW_VERSION) ## build the real servers the tests use

WEB  := admin/console/web
NODE := $(CURDIR)/.ci/node

# The types of the API come from the document that a test holds to the handlers.
define api-document
@mkdir -p $(WEB)/api
@tail -n +2 admin/testdata/golden/openapi.txt >$(WEB)/api/openapi.json
endef

.PHONY: web
web: $(WEB)/node_modules ## rebuild the console's pages (Node 20 is fetched if there is none); their output is committed, so nobody else needs this
	$(api-document)
	cd $(WEB) && $(NODE) bash -c 'npm run --silent types && npm run --silent check && npm run --silent test && npm run --silent build'

.PHONY: web-check
web-check: $(WEB)/node_modules ## fails where the console's sources break a rule or a test, or what is committed is not what make web makes of them
	$(api-document)
	$(NODE) .ci/web-check

$(WEB)/node_modules: $(WEB)/package-lock.json
	cd $(WEB) && $(NODE) npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

# What the pages are tested with in a browser; E2E='--grep @short' is what every change has to pass.
E2E ?=

.PHONY: web-test
web-test: bin/caddy $(WEB)/node_modules $(STAMPS)/minio-$(MINIO_VERSION) ## the console in a browser (Chromium, CHROMIUM=/usr/bin/chromium), against a real FaDO and real storages; E2E='--grep @short' for the half that .ci/run runs
	@PREREQS=$(PREREQS) .ci/prereqs chromium:chromium initdb:postgresql
	cd $(WEB) && FADO_CADDY=$(CURDIR)/bin/caddy $(NODE) npm run --silent e2e -- $(E2E)

.PHONY: web-budgets
web-budgets: bin/caddy $(WEB)/node_modules $(STAMPS)/minio-$(MINIO_VERSION) ## what the console takes with 100,000 and 1,000,000 buckets, what ten browsers cost, and a page beside many copies for BUDGET_MINUTES=5, beside the bars: figures of this machine
	@PREREQS=$(PREREQS) .ci/prereqs chromium:chromium
	cd $(WEB) && FADO_CADDY=$(CURDIR)/bin/caddy BUDGETS=1 $(NODE) npx playwright test budgets

.PHONY: web-shots
web-shots: bin/caddy $(WEB)/node_modules $(STAMPS)/minio-$(MINIO_VERSION) ## take the pictures of docs/console.md again
	@PREREQS=$(PREREQS) .ci/prereqs chromium:chromium
	@mkdir -p docs/images
	cd $(WEB) && FADO_CADDY=$(CURDIR)/bin/caddy SHOTS=$(CURDIR)/docs/images $(NODE) npx playwright test shots

.PHONY: clean
clean: ## remove what was built, the tools excepted
	rm -rf bin bench/out

# What a bare Debian machine with Go lacks: a C compiler for the race detector, and a
# PostgreSQL, which the tests start themselves. What is missing is installed in one
# step, which says so first; PREREQS=check only names it. A PostgreSQL elsewhere will do
# for most tests: FADO_TEST_POSTGRES=postgres://superuser:password@host/postgres.
PREREQS ?= install

.PHONY: prereqs
prereqs: ## what the tests need of the system (gcc, postgresql): installs it with apt-get; PREREQS=check only says what is missing
	@PREREQS=$(PREREQS) .ci/prereqs cc:gcc,libc6-dev initdb:postgresql

# Each stamp stands for one binary of one version.
define install
@mkdir -p $(TOOLS) $(STAMPS)
@CGO_ENABLED=0 GOFLAGS= GOBIN=$(TOOLS) .ci/progress $(2) go install -v $(1)
@touch $@
endef

$(STAMPS)/minio-$(MINIO_VERSION):
	$(call install,github.com/minio/minio@$(MINIO_VERSION),'MinIO (.tools/bin/minio)' 1300 6)

# A later MinIO whose notification listener never flushes: FaDO must notice.
$(STAMPS)/minio-mute-$(MINIO_MUTE):
	@mkdir -p $(TOOLS) $(STAMPS) $(TOOLS)/mute
	@CGO_ENABLED=0 GOFLAGS= GOBIN=$(TOOLS)/mute .ci/progress 'a later MinIO (.tools/bin/minio-mute)' 1300 6 go install -v github.com/minio/minio@$(MINIO_MUTE)
	@mv $(TOOLS)/mute/minio $(TOOLS)/minio-mute && rmdir $(TOOLS)/mute
	@touch $@

$(STAMPS)/versitygw-$(VERSITYGW_VERSION):
	$(call install,github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION),'versitygw (.tools/bin/versitygw)' 700 2)

# The copiers that replication is measured beside.
$(STAMPS)/mc-$(MC_VERSION):
	$(call install,github.com/minio/mc@$(MC_VERSION),'mc (.tools/bin/mc)' 900 2)

$(STAMPS)/rclone-$(RCLONE_VERSION):
	$(call install,github.com/rclone/rclone@$(RCLONE_VERSION),'rclone (.tools/bin/rclone)' 1700 5)

$(STAMPS)/golangci-lint-$(GOLANGCI_VERSION):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION),'golangci-lint (.tools/bin/golangci-lint)' 1300 4)
