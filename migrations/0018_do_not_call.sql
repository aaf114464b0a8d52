-- Numbers that an organization never calls.
CREATE TABLE do_not_call (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    number TEXT NOT NULL,
    reason TEXT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX do_not_call_by_number ON do_not_call (organization_id, number);
CREATE INDEX do_not_call_by_age ON do_not_call (organization_id, created_at, id);
