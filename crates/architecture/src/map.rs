//! The map: where each area stands, what it may use, and every limit. When a folder moves, its line here changes.

/// A part of the program: a crate, a folder of a crate, or a file (without `.rs`) with the folder beside it.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    /// How the rules and ARCHITECTURE.md call it.
    pub name: &'static str,
    /// Where it stands, `src/api`.
    pub place: &'static str,
    /// Areas that it may use, `store`; or what it may use of them, `outbox::mail`.
    pub uses: &'static [&'static str],
}

/// A crate of others that few parts may use.
#[derive(Debug, Clone, Copy)]
pub struct Foreign {
    /// How code names it.
    pub library: &'static str,
    /// Areas, files or folders that may use it.
    pub places: &'static [&'static str],
    /// Tests may not use it elsewhere either.
    pub tests_too: bool,
}

/// All areas, and what each may use of the others (ARCHITECTURE.md says why). The root of a crate with areas is none.
pub const AREAS: &[Area] = &[
    area(
        "api",
        "src/api",
        &["call", "checkup", "domain", "store", "supervision", "signaling", "connections", "media", "json", "webhooks"],
    ),
    area(
        "app",
        "src/app",
        &[
            "api",
            "call",
            "config",
            "domain",
            "egress",
            "outbox",
            "providers",
            "scheduler",
            "stir",
            "store",
            "supervision",
            "telemetry",
            "webhooks",
            "signaling",
            "connections",
            "media",
        ],
    ),
    area(
        "call",
        "crates/call/src",
        &[
            "amd",
            "dialogue",
            "domain",
            "dtmf",
            "egress",
            "machine",
            "outbox::mail",
            "providers",
            "stir",
            "store",
            "supervision",
            "webhooks",
            "signaling",
            "media",
            "json",
        ],
    ),
    area("checkup", "crates/checkup/src", &["domain", "signaling"]),
    area("config", "src/config", &["domain", "connections"]),
    area("outbox", "crates/webhooks/src/outbox", &["domain", "store", "supervision", "webhooks"]),
    area("scheduler", "src/scheduler", &["call", "domain", "store"]),
    area("stir", "crates/call/src/stir", &["domain", "egress"]),
    area("telemetry", "src/telemetry", &["call::spans", "config", "connections"]),
    area("webhooks", "crates/webhooks/src", &["checkup", "domain", "egress", "json"]),
    area("signaling", "signaling/src", &["connections", "supervision"]),
    area("media", "media/src", &["connections", "supervision"]),
    area("dialogue", "crates/conversation/src/dialogue", &["domain", "json", "media", "providers"]),
    area("amd", "crates/conversation/src/amd", &["dialogue", "media"]),
    area("dtmf", "crates/conversation/src/dtmf", &["domain"]),
    area(
        "machine",
        "crates/conversation/src/machine",
        &["amd", "dialogue", "domain", "dtmf", "json", "media", "providers"],
    ),
    area("domain", "crates/domain/src", &["json"]),
    area("egress", "crates/egress/src", &[]),
    area("providers", "crates/providers/src", &["domain", "egress", "json", "local_speech", "media", "supervision"]),
    area("store", "crates/store/src", &["domain", "supervision"]),
    area("local_speech", "crates/local-speech/src", &["supervision"]),
    area("fake_speech_worker", "crates/local-speech/fake_worker", &["local_speech"]),
    area("piper", "crates/piper/src", &[]),
    area("speech_worker", "crates/speech-worker/src", &["local_speech", "piper", "supervision"]),
    area("connections", "crates/connections/src", &[]),
    area("supervision", "crates/supervision/src", &[]),
    area("json", "crates/json/src", &[]),
    area("architecture", "crates/architecture/src", &[]),
    area("emulator", "crates/lab/src/emulator", &["media"]),
    area("caller", "crates/lab/src/caller", &["call", "domain", "emulator", "media", "signaling"]),
    area(
        "lab",
        "crates/lab/src",
        &[
            "api",
            "app",
            "call::negotiate",
            "caller",
            "config",
            "doctor",
            "domain",
            "egress",
            "emulator",
            "local_speech",
            "media",
            "providers",
            "signaling",
            "telemetry",
            "trunk_check",
            "turn_bench",
        ],
    ),
    area("turn_bench", "crates/turn-bench/src", &["domain", "machine", "media", "providers"]),
    area("recorder", "crates/lab/src/recorder", &["domain", "egress", "emulator", "media", "providers"]),
    area(
        "trunk_check",
        "crates/lab/src/trunk_check",
        &["call::invite", "call::trunk_routes", "domain", "lab::stop_signal", "media", "signaling"],
    ),
    area("client", "crates/client/src", &["domain", "json"]),
    area(
        "doctor",
        "crates/doctor/src",
        &[
            "api::MachineExaminer",
            "app",
            "checkup",
            "config",
            "domain",
            "local_speech",
            "providers",
            "signaling",
            "store",
            "supervision",
            "webhooks",
        ],
    ),
    area(
        "cli",
        "crates/cli/src",
        &[
            "api::openapi_document",
            "app",
            "client",
            "config",
            "doctor",
            "domain",
            "emulator",
            "lab",
            "local_speech",
            "recorder",
            "signaling",
            "speech_worker",
            "supervision",
            "telemetry",
            "trunk_check",
        ],
    ),
];

/// Areas that know neither each other nor the program, not even in their tests.
pub const APART: &[&str] = &["signaling", "media"];

/// The file that turns descriptions of sessions into settings of media, and the areas that meet there.
pub const NEGOTIATION: &str = "crates/call/src/negotiate";
/// What is described, and what is set.
pub const NEGOTIATED: (&str, &str) = ("signaling::sdp", "media");

/// Who speaks SQL, who is a web server, who makes requests, who compiles schemas.
pub const FOREIGN: &[Foreign] = &[
    Foreign { library: "sqlx", places: &["store"], tests_too: false },
    Foreign { library: "axum", places: &["api", "app", "lab", "emulator"], tests_too: false },
    Foreign {
        library: "reqwest",
        places: &[
            "providers",
            "client",
            "doctor",
            "lab",
            "recorder",
            "egress",
            "crates/webhooks/src/receiver_check.rs",
            "crates/webhooks/src/sender.rs",
            "crates/webhooks/src/tool_sender.rs",
            "crates/webhooks/src/mcp/client.rs",
            "crates/call/src/stir/mod.rs",
        ],
        tests_too: false,
    },
    Foreign { library: "ort", places: &["speech_worker"], tests_too: true },
    Foreign { library: "rten", places: &["piper"], tests_too: true },
    Foreign { library: "jsonschema", places: &["crates/json/src/schema"], tests_too: true },
];

/// Areas of machines: no sockets, no clock, no tasks, no locks, no files.
pub const MACHINES: &[&str] = &["media", "signaling", "call", "dialogue", "amd", "dtmf", "machine", "local_speech"];
/// The parts of them that carry, and the door between tasks.
pub const DRIVERS: &[&str] = &["/io/", "/driver/", "/driver.rs", "/call/src/registry.rs", "/call/src/live_update.rs"];

/// Tools, which are not the server, and what contains panics by itself: threads of media contain them leg by leg, the
/// supervision is what contains.
pub const SPAWN_FREELY: &[&str] = &[
    "caller",
    "cli",
    "client",
    "emulator",
    "lab",
    "supervision",
    "architecture",
    "trunk_check",
    "speech_worker",
    "turn_bench",
];
/// Folders of the same kind.
pub const SPAWN_FREELY_IN: &[&str] = &["/media/src/io/"];

/// Parts of the names of secrets.
pub const SECRET_NAMES: &[&str] =
    &["password", "secret", "token", "authorization", "credential", "api_key", "master_key", "private_key"];
/// Fields that are named like a secret and hold a path or an identifier.
pub const NOT_SECRET: &[&str] = &["api_key_file", "private_key", "xai_secret_id"];

/// The area of settings: its documents are read from files.
pub const SETTINGS: &str = "config";

/// Lines of code of a function, from its signature to its closing brace.
pub const FUNCTION_LINES_MAX: usize = 60;
/// Lines of code of a file; those below `#[cfg(test)]` count for themselves.
pub const FILE_LINES_MAX: usize = 450;
/// Fields of a struct that is no document of a customer.
pub const FIELDS_MAX: usize = 20;
/// Structs with a limit of their own.
pub const OWN_FIELDS_MAX: &[(&str, usize)] = &[("CallMachine", 12), ("Machine", 12), ("Leg", 16)];

/// Helpers of tests that wait for something with a deadline: nothing else of the tests sleeps.
pub const POLLING_HELPERS: &[&str] =
    &["tests/server/support/polling.rs::poll", "media/src/io/worker/tests.rs::eventually"];

/// The tests of the root crate that the documents name without their folder.
pub const SERVER_TESTS: &str = "tests/server/main.rs";

const fn area(name: &'static str, place: &'static str, uses: &'static [&'static str]) -> Area {
    Area { name, place, uses }
}
