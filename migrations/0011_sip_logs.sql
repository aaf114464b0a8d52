-- The SIP messages of a call as JSON, for a carrier's support. They go with their call.
CREATE TABLE sip_logs (
    call_id TEXT PRIMARY KEY NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    log TEXT NOT NULL
);
