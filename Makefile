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

MODULE  := github.com/fado-project/fado
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# Caddy's own builds leave these parts of smallstep/nosql out too.
TAGS    := nobadger,nomysql,nopgx
TOOLS   := $(CURDIR)/.tools/bin
STAMPS  := $(CURDIR)/.tools/stamps
GOSRC   := $(shell find . -name '*.go' -not -path './.tools/*' 2>/dev/null) go.mod go.sum \
           $(shell find . \( -name '*.sql' -o -name '*.json' \) -not -path './.*' 2>/dev/null)

# The packages whose promises are about concurrency run under the race detector as
# well. The SQLite driver is machine-translated C and crawls under it, so that what
# only exercises SQL runs without.
RACE_PKGS := ./catalog/... ./placement/... ./routing/... ./state/postgres/... ./control/... ./health/... ./lbpolicy/... ./storage/... ./replication/... ./admin/... ./eventhook/... ./caddymodule/...

export FADO_TOOLS := $(TOOLS)

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: bin/caddy ## bin/caddy, through xcaddy, static

bin/caddy: $(GOSRC)
	@mkdir -p bin
	CGO_ENABLED=0 XCADDY_SKIP_CLEANUP=0 \
	XCADDY_GO_BUILD_FLAGS="-ldflags '-s -w -X $(MODULE)/caddymodule.version=$(VERSION)'" \
	go tool xcaddy build $(CADDY_VERSION) --output bin/caddy --with $(MODULE)@v0.0.0=.

bin/fn: $(wildcard examples/demo/function/*.go)
	@mkdir -p bin
	CGO_ENABLED=0 go build -o $@ ./examples/demo/function

bin/demo: $(wildcard examples/demo/*) $(wildcard examples/internal/stage/*.go internal/testenv/*.go)
	@mkdir -p bin
	CGO_ENABLED=0 go build -o $@ ./examples/demo

.PHONY: demo
demo: bin/caddy bin/fn bin/demo $(STAMPS)/minio-$(MINIO_VERSION) ## the main job on real parts; Ctrl-C ends it, DEMO_ONCE=1 walks through once
	@exec bin/demo

bin/ha: $(wildcard examples/ha/*) $(wildcard examples/internal/stage/*.go internal/testenv/*.go)
	@mkdir -p bin
	CGO_ENABLED=0 go build -o $@ ./examples/ha

.PHONY: ha
ha: prereqs bin/caddy bin/fn bin/ha $(STAMPS)/minio-$(MINIO_VERSION) ## two instances, PostgreSQL and a load balancer, and what happens when one is killed; HA_ONCE=1 walks through once
	@exec bin/ha

.PHONY: test
test: prereqs tools ## all tests, on real MinIO, versitygw, PostgreSQL and SQLite
	CGO_ENABLED=0 FADO_REQUIRE_TOOLS=1 go test -tags $(TAGS) -timeout 20m ./...
	FADO_REQUIRE_TOOLS=1 go test -tags $(TAGS) -race -short -timeout 20m $(RACE_PKGS)

CHAOS_ROUNDS ?= 300

.PHONY: chaos
chaos: prereqs tools ## hundreds of rounds of kills and storage faults, CHAOS_ROUNDS=300 by default
	CGO_ENABLED=0 FADO_REQUIRE_TOOLS=1 FADO_CHAOS_ROUNDS=$(CHAOS_ROUNDS) go test -tags $(TAGS) -timeout 3h -v -run TestChaos ./internal/chaos

.PHONY: bench
bench: bin/caddy bin/fn prereqs tools $(STAMPS)/mc-$(MC_VERSION) $(STAMPS)/rclone-$(RCLONE_VERSION) ## the benchmarks, each beside its peer; writes bench/RESULTS.md
	@command -v wrk >/dev/null || $(MAKE) --no-print-directory apt-wrk
	go run -tags $(TAGS) ./bench

.PHONY: lint
lint: $(STAMPS)/golangci-lint-$(GOLANGCI_VERSION) ## vet, formatting and the arrows between the rooms
	$(TOOLS)/golangci-lint config verify
	$(TOOLS)/golangci-lint run --allow-serial-runners --build-tags $(TAGS) ./...

.PHONY: tools
tools: $(STAMPS)/minio-$(MINIO_VERSION) $(STAMPS)/minio-mute-$(MINIO_MUTE) $(STAMPS)/versitygw-$(VERSITYGW_VERSION) ## build the real servers the tests use

.PHONY: clean
clean: ## remove what was built, the tools excepted
	rm -rf bin bench/out

# What a bare Debian machine with Go lacks: a C compiler for the race detector, and a
# PostgreSQL, which the tests start themselves. A server elsewhere will do for most of
# them: FADO_TEST_POSTGRES=postgres://superuser:password@host/postgres.
.PHONY: prereqs
prereqs:
	@command -v cc >/dev/null || $(MAKE) --no-print-directory apt-gcc
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || $(MAKE) --no-print-directory apt-postgresql

.PHONY: apt-gcc apt-wrk apt-postgresql
apt-gcc: APT := gcc libc6-dev
apt-wrk: APT := wrk
apt-postgresql: APT := postgresql
apt-gcc apt-wrk apt-postgresql:
	@command -v apt-get >/dev/null || { echo "please install: $(APT)" >&2; exit 1; }
	@SUDO=; [ "$$(id -u)" = 0 ] || SUDO=sudo; $$SUDO apt-get update -q && $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $(APT)

# Each stamp stands for one binary of one version.
define install
@mkdir -p $(TOOLS) $(STAMPS)
CGO_ENABLED=0 GOFLAGS= GOBIN=$(TOOLS) go install $(1)
@touch $@
endef

$(STAMPS)/minio-$(MINIO_VERSION):
	$(call install,github.com/minio/minio@$(MINIO_VERSION))

# A later MinIO whose notification listener never flushes: FaDO must notice.
$(STAMPS)/minio-mute-$(MINIO_MUTE):
	@mkdir -p $(TOOLS) $(STAMPS) $(TOOLS)/mute
	CGO_ENABLED=0 GOFLAGS= GOBIN=$(TOOLS)/mute go install github.com/minio/minio@$(MINIO_MUTE)
	@mv $(TOOLS)/mute/minio $(TOOLS)/minio-mute && rmdir $(TOOLS)/mute
	@touch $@

$(STAMPS)/versitygw-$(VERSITYGW_VERSION):
	$(call install,github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION))

# The copiers that replication is measured beside.
$(STAMPS)/mc-$(MC_VERSION):
	$(call install,github.com/minio/mc@$(MC_VERSION))

$(STAMPS)/rclone-$(RCLONE_VERSION):
	$(call install,github.com/rclone/rclone@$(RCLONE_VERSION))

$(STAMPS)/golangci-lint-$(GOLANGCI_VERSION):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION))
