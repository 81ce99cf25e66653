# Mana Edge. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL  := /bin/bash
TAGS   := nobadger,nomysql,nopgx
FLAGS  := -tags $(TAGS)
LDFLAGS = -ldflags "-s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$(VERSION)"
VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo v0.0.0)
# More flags for `go test`: make test TESTFLAGS=-v
TESTFLAGS ?=
# How long the soak test and each fuzz target run: make soak SOAK=1h FUZZ=5m
SOAK ?= 10m
FUZZ ?= 30s

# Where the pictures of the hosted pages go: make shots SHOTS=/tmp/pictures
SHOTS ?= /tmp/mana-edge-shots

# Where the site of the documentation goes: make docs DOCS=/tmp/site
DOCS ?= /tmp/mana-edge-docs

# What make mutate changes lines of: packages that guard who gets in and what is paid, and whose own tests are quick.
MUTATE ?= authcore/principal authcore/token authcore/revocation authcore/refreshtoken authcore/secret authcore/cookie authcore/origin \
	authcore/address authcore/challenge authcore/password authcore/twofactor caddymodule/request caddymodule/guard \
	caddymodule/meter/price caddymodule/meter/tokens caddymodule/meter/fingerprint caddymodule/counters

# Where `make install` puts things, for packages: make install DESTDIR=/tmp/root
DESTDIR ?=

.PHONY: help run build install test images lint mutate bench conformance cluster postgres18 examples soak shots docs xcaddy fmt clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## start the edge of Caddyfile.example with the demo app behind its gate
	@.ci/packages initdb || true
	@bin/demo-app & demo=$$!; \
	bin/mana-edge run --config Caddyfile.example --adapter caddyfile & edge=$$!; \
	trap 'kill $$edge $$demo 2>/dev/null; wait' INT TERM EXIT; \
	wait $$edge

build: ## build bin/mana-edge and bin/demo-app
	go build $(FLAGS) $(LDFLAGS) -trimpath -o bin/ ./cmd/mana-edge ./cmd/demo-app

install: build ## install both programs, their units and the example as a service; `systemctl enable --now mana-edge mana-demo` starts them
	install -D -m 0755 -t $(DESTDIR)/usr/local/bin bin/mana-edge bin/demo-app
	install -D -m 0644 -t $(DESTDIR)/etc/systemd/system deploy/mana-edge.service deploy/mana-demo.service
	install -D -m 0644 -t $(DESTDIR)/etc/sysctl.d deploy/60-mana-edge.conf
	[ -e $(DESTDIR)/etc/mana-edge/Caddyfile ] || install -D -m 0644 Caddyfile.example $(DESTDIR)/etc/mana-edge/Caddyfile
	[ -e $(DESTDIR)/etc/mana-edge/environment ] || install -m 0600 /dev/null $(DESTDIR)/etc/mana-edge/environment
	[ -n "$(DESTDIR)" ] || { .ci/packages initdb || true; \
		id -u mana-edge >/dev/null 2>&1 || useradd --system --home-dir /var/lib/mana-edge --shell /usr/sbin/nologin mana-edge; \
		systemctl daemon-reload; }

# Everything is compiled once, for the race detector: vet and tests share that build. Without what only
# a debugger reads (-w) the tests are linked a third faster. The import rules are a test too;
# `make lint` checks them with the rest, apart from here because building the linter takes longer than all tests.
test: ## format, vet and every test, with the race detector; installs what they need when it may
	@.ci/packages initdb pgbouncer redis-server prometheus amtool chromium node npm python3 curl
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	go vet -race $(FLAGS) ./...
	go test -race -vet=off $(FLAGS) -ldflags=-w -timeout 30m $(TESTFLAGS) ./...
	cd bench && go vet -race $(FLAGS) ./... && go test -race -vet=off $(FLAGS) $(TESTFLAGS) ./...
	cd tools/deploy && go vet ./... && go test -vet=off $(TESTFLAGS) -run '^(TestComposeFilesLoad|TestComposeRefusesMissingSecrets|TestDockerfileStages|TestKubernetesObjectsFit)$$' ./...
	cd tools/site && go vet ./... && go test -vet=off $(TESTFLAGS) ./...
	cd examples/go && go vet ./...
	cd examples/verify && go vet ./...
	cd clients/go && go vet -race -tags live ./... && go test -race -vet=off $(TESTFLAGS) ./...

images: ## build the image without a daemon and start what is in it, install as a service into a directory; compiles everything anew, without cgo
	@.ci/packages systemd-analyze
	cd tools/deploy && go test -count=1 -v -timeout 30m ./...

lint: bin/golangci-lint ## the linters of .golangci.yml, import rules included
	GOFLAGS="$$(go env GOFLAGS) -race" bin/golangci-lint run

mutate: bin/gremlins ## change lines of what guards, one at a time, and see that tests of the package fail: MUTATE=authcore/token
	@.ci/packages initdb
	@for p in $(MUTATE); do echo "== $$p"; bin/gremlins unleash ./$$p -t $(TAGS) --workers 1 --timeout-coefficient 30 -S ltc || exit 1; done

bench: build ## measure the targets of the README, peers included; prints medians and ratios
	@.ci/packages initdb
	cd bench && go run $(FLAGS) . -root ..

conformance: ## the modules of the OpenID certification plans, one by one, and oauth2-proxy signed in through the edge
	@.ci/packages initdb
	go test -tags $(TAGS),conformance -count=1 -v -run '^(TestConformance|TestOAuth2Proxy)$$' ./caddymodule/api | grep -E '^ *--- |modules pass|^(ok|FAIL|PASS)'

cluster: ## two edges on a PostgreSQL that Patroni fails over, and two that are replaced by the next version under load
	@.ci/packages initdb patroni etcd
	go test -tags $(TAGS),cluster -count=1 -v -timeout 20m -run '^(TestDatabaseFailsOver|TestRollingUpgrade)$$' ./cmd/mana-edge

postgres18: ## everything that has a database on PostgreSQL 18, and the move of an embedded database to it by one command
	@.ci/packages initdb node npm
	bin=$$(.ci/postgres18) && \
	MANA_POSTGRES_BIN=$$bin go test $(FLAGS) -ldflags=-w -count=1 -timeout 30m ./migrations/... ./internal/... ./authcore/... ./creditcore/... ./caddymodule/... && \
	go test -tags $(TAGS),postgres18 -count=1 -v -timeout 20m -run '^TestPostgresIsUpgraded$$' ./cmd/mana-edge -postgres18 $$bin

examples: build ## the apps of examples/ behind the gate, those too that install packages, and what generates clients of the API
	@.ci/packages initdb chromium node npm php python3 uvicorn
	go test -tags $(TAGS),examples -count=1 -v -timeout 60m ./clients -edge "$(abspath bin/mana-edge)"

soak: ## hammer a running edge for SOAK (10m), kill it 200 times, the ledger against its model, money in every order, every fuzz target for FUZZ (30s)
	@.ci/packages initdb
	go test -race $(FLAGS) -count=1 -v -timeout 0 -run '^TestSoak$$' ./cmd/mana-edge -soak $(SOAK)
	go test $(FLAGS) -count=1 -v -timeout 0 -run '^TestKillUnderMeteredLoad$$' ./cmd/mana-edge -soak $(SOAK)
	MANA_SOAK=1 go test -race $(FLAGS) -count=1 -v -timeout 0 -run '^TestLedgerFollowsTheModel$$' ./creditcore
	MANA_SOAK=1 go test -race $(FLAGS) -count=1 -v -timeout 0 -run '^TestEverythingFollowsTheModel$$' ./creditcore/billing
	MANA_SOAK=1 go test $(FLAGS) -count=1 -v -timeout 0 -run '^TestMoneyAddsUpInEveryOrder$$' ./creditcore/billing
	MANA_SOAK=1 go test $(FLAGS) -count=1 -v -timeout 0 -run '^TestRehearsal$$' ./caddymodule/importer
	go test -tags $(TAGS),soak -count=1 -v -timeout 0 -run '^TestDeskStaysQuick$$' ./caddymodule/api
	.ci/fuzz $(FUZZ) $(FLAGS)

shots: ## a picture of every hosted page, on a phone and a desk, light and dark, into SHOTS (/tmp/mana-edge-shots)
	@.ci/packages chromium
	go test -vet=off $(FLAGS) -count=1 -timeout 20m -run '^TestShots$$' ./caddymodule/pages -shots "$(abspath $(SHOTS))"

docs: ## the documentation as a site with a search, for any web server or none, into DOCS (/tmp/mana-edge-docs)
	cd tools/site && go run . -root "$(CURDIR)" -out "$(abspath $(DOCS))"

xcaddy: ## build the binary that xcaddy.toml describes, with xcaddy
	go run $(FLAGS) ./cmd/xbuild -config xcaddy.toml

fmt: ## gofmt, and caddy fmt for the example
	gofmt -w .
	go run $(FLAGS) ./cmd/mana-edge fmt --overwrite Caddyfile.example

clean: ## remove what was built
	rm -rf bin

# The linter and the mutator are modules of their own, so that their dependencies stay out of go.mod.
bin/golangci-lint: tools/go.mod
	go build -C tools -o ../bin/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/gremlins: tools/mutate/go.mod
	go build -C tools/mutate -o ../../bin/ github.com/go-gremlins/gremlins/cmd/gremlins
