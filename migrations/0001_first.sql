-- Identifiers are UUID text, times are milliseconds since 1970 in UTC, documents are JSON text.

CREATE TABLE organizations (
    id TEXT PRIMARY KEY NOT NULL,
    parent_org_id TEXT REFERENCES organizations (id),
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Keys are stored as SHA-256; the prefix is what a person recognises one by.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    expires_at BIGINT,
    created_at BIGINT NOT NULL
);

CREATE TABLE agents (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    is_active BIGINT NOT NULL,
    fields TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX agents_by_organization ON agents (organization_id, created_at);

CREATE TABLE trunks (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    fields TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX trunks_by_organization ON trunks (organization_id, created_at);

CREATE TABLE phone_numbers (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    number TEXT NOT NULL UNIQUE,
    agent_id TEXT REFERENCES agents (id) ON DELETE SET NULL,
    trunk_id TEXT REFERENCES trunks (id) ON DELETE SET NULL,
    name TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX phone_numbers_by_organization ON phone_numbers (organization_id, created_at);

CREATE TABLE tasks (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    agent_id TEXT NOT NULL,
    status TEXT NOT NULL,
    fields TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX tasks_by_organization ON tasks (organization_id, created_at);
CREATE INDEX tasks_by_status ON tasks (status);

CREATE TABLE calls (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    agent_id TEXT,
    task_id TEXT,
    direction TEXT NOT NULL,
    from_number TEXT NOT NULL,
    to_number TEXT NOT NULL,
    status TEXT NOT NULL,
    end_reason TEXT,
    started_at BIGINT NOT NULL,
    answered_at BIGINT,
    ended_at BIGINT,
    sip_call_id TEXT,
    recording TEXT,
    metrics TEXT,
    metadata TEXT
);
CREATE INDEX calls_by_organization ON calls (organization_id, started_at);
CREATE INDEX calls_open ON calls (status) WHERE status IN ('initiated', 'in_progress');

CREATE TABLE turns (
    call_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    started_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT NOT NULL,
    interrupted BIGINT NOT NULL,
    confidence DOUBLE PRECISION,
    PRIMARY KEY (call_id, position)
);
