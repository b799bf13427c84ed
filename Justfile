# The front door. `./justw` lists the recipes; `./justw NAME` runs one.

set shell := ["bash", "-euo", "pipefail", "-c"]

# No `-p` where programs are built: features are then the same for all recipes, and nothing is built twice.
ctlstore := "cargo run --quiet --locked --bin ctlstore --"

# List the recipes
default:
    @'{{ just_executable() }}' --justfile '{{ justfile() }}' --list --unsorted

# Declare a table, write rows, read them from a node's file; prints the time of each step and ends
demo *ARGS: (setup "demo")
    @cargo build --locked --bin ctlstore
    @{{ ctlstore }} demo --manifests examples/billing {{ ARGS }}

# Run everything in one process until Ctrl-C; on your own YAML: just dev --manifests DIR (seen from the project's root)
dev *ARGS: (setup "demo")
    @cargo build --locked --bin ctlstore
    @{{ ctlstore }} dev --dir .dev {{ if ARGS =~ "--manifests" { "" } else { "--manifests examples/billing" } }} {{ ARGS }}

# Run the tests, on a real MariaDB and a real kube-apiserver: just test [cargo test's arguments]
test *ARGS: (setup "test")
    cargo build --locked --workspace --bins
    cargo test --locked --workspace {{ ARGS }}

# Run ctldb's tests on a real MySQL 9 (needs Debian and root, or CTLSTORE_TEST_MYSQL_URL)
test-mysql *ARGS: (setup "mariadb")
    hack/mysql9.sh cargo test --locked --package ctldb {{ ARGS }}

# Two hundred readers on one LDB for twenty minutes, half of them with a switch to a new file every ten seconds
soak: (setup "test")
    cargo build --locked --workspace --bins
    cargo test --locked --package e2e --test readers -- --ignored --nocapture

# A node that begins with a snapshot of a million rows beside one that replays them all (minutes)
soak-bootstrap: (setup "test")
    cargo test --locked --package agent --test bootstrap -- --ignored --nocapture a_million_rows

# Damage the ledger's grammar at random, 200,000 texts; then, where cargo-fuzz and a nightly compiler are, for SECONDS
fuzz SECONDS="60": (setup "demo")
    cargo test --locked --release --package ledger --lib -- --ignored very_many_damaged_statements
    @if cargo +nightly fuzz --version >/dev/null 2>&1; then cd ledger && cargo +nightly fuzz run statement -- -max_total_time={{ SECONDS }}; else echo 'to run libFuzzer, too: rustup toolchain install nightly && cargo install cargo-fuzz'; fi

# Try an API with requests made from its OpenAPI document (fetches schemathesis from PyPI, once): executive or node
schemathesis SERVICE="executive" *ARGS="": (setup "demo")
    cargo build --locked --bin ctlstore
    hack/schemathesis.sh "${CARGO_TARGET_DIR:-target}/debug/ctlstore" {{ SERVICE }} {{ ARGS }}

# Kill the executive 100 times under load, and load two of them for 60 s (minutes, a MariaDB)
soak-executive: (setup "mariadb")
    cargo build --locked --workspace --bins
    CTLSTORE_KILL_ROUNDS=100 CTLSTORE_SOAK_SECONDS=60 cargo test --locked --package executive --test http -- --nocapture kill:: soak::

# The long forms of what is shown of snapshots: two uploaders at once for a minute, kill -9 at many moments, stalled lists
soak-snapshots: (setup "test")
    cargo test --locked --package agent --test snapshot -- --ignored --nocapture

# All that is checked without running the product; CI runs it
check: (setup "check") fmt-check tidy deps deny lint crds-check metrics-doc-check chart-stale

# Format the code
fmt:
    cargo fmt --all

# Is the code formatted?
fmt-check:
    cargo fmt --all --check

# Clippy, warnings are errors, on all targets
lint:
    cargo clippy --locked --workspace --all-targets -- --deny warnings

# Sizes, names and places that the house rules fix
tidy:
    hack/tidy.sh

# Arrows between crates that ARCHITECTURE.md forbids
deps:
    hack/deps.sh

# Licences, banned crates and sources of what is linked
deny:
    . hack/tools.sh; deny=$(tool cargo-deny); "$deny" --locked check bans licenses sources

# Ask the advisory database (a clone from GitHub) about the locked versions
audit:
    . hack/tools.sh; deny=$(tool cargo-deny); "$deny" --locked check advisories

# Write the CRDs' YAML
crds:
    cargo run --quiet --locked --bin crdgen > crds/crds.yaml

# Is the committed YAML what the code says?
crds-check:
    cargo run --quiet --locked --bin crdgen | diff -u crds/crds.yaml - || { echo 'crds/crds.yaml is out of date: run "./justw crds"' >&2; exit 1; }

# Is the chart right? Each of its shapes is rendered and shown to a real API server, and wrong values are tried (needs Go)
chart-check: (setup "chart")
    hack/chart.sh check

# Write the parts of the chart that are made from others: the CRDs, the table of values
chart:
    hack/chart.sh write

# Build the container image from scratch, without a registry, into FILE; docker load takes it
image FILE="target/ctlstore-image.tar" TAG="ctlstore:dev": (setup "image")
    @mkdir -p "$(dirname '{{ FILE }}')"
    hack/image.sh archive {{ FILE }} {{ TAG }}

# The product in a real cluster of four nodes, in good and bad weather; FILTER names scenarios (Docker, or Debian and root)
e2e FILTER="": (setup "e2e")
    hack/e2e.sh run {{ FILTER }}

# Make the cluster of the end-to-end tests and keep it; then: hack/e2e.sh test [FILTER]
e2e-up: (setup "e2e")
    hack/e2e.sh up

# Delete the cluster of the end-to-end tests
e2e-down:
    hack/e2e.sh down

# Does the chart hold what the code says?
[private]
chart-stale:
    hack/chart.sh stale

# Write docs/metrics.md
metrics-doc:
    {{ ctlstore }} metrics-doc > docs/metrics.md

# Is the committed page what the services register?
metrics-doc-check:
    {{ ctlstore }} metrics-doc | diff -u docs/metrics.md - || { echo 'docs/metrics.md is out of date: run "./justw metrics-doc"' >&2; exit 1; }

# Measure side by side: just bench NAME; without a name, list the scenarios
bench *ARGS: (setup "bench")
    cargo build --locked --release --bin bench --bin ctlstore
    cargo run --quiet --locked --release --bin bench -- {{ ARGS }}

# What CI runs
ci:
    .ci/run

# Install what a recipe needs, or say what to install
[private]
setup FOR:
    @hack/setup.sh {{ FOR }}
