-- Tenants, webhooks, reports and the scheduler. One text for SQLite and PostgreSQL: TEXT, BIGINT and
-- DOUBLE PRECISION only, flags are 0 and 1.

ALTER TABLE organizations ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

ALTER TABLE users ADD COLUMN name TEXT;
ALTER TABLE users ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;

ALTER TABLE api_keys ADD COLUMN scopes TEXT;
ALTER TABLE api_keys ADD COLUMN last_used_at BIGINT;
CREATE INDEX api_keys_by_organization ON api_keys (organization_id, created_at);

-- Tokens are stored as SHA-256.
CREATE TABLE sessions (
    hash TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE invitations (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    accepted_at BIGINT
);

-- Provider keys of an organization, encrypted with the master key.
CREATE TABLE secrets (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    provider TEXT NOT NULL,
    ciphertext TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (organization_id, provider)
);

CREATE TABLE audit_log (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT,
    at BIGINT NOT NULL
);
CREATE INDEX audit_log_by_organization ON audit_log (organization_id, at);

-- What is to be delivered, and what was: webhooks and mail. Rows of one order_key go out one after the other.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    channel TEXT NOT NULL,
    order_key TEXT NOT NULL,
    call_id TEXT,
    task_id TEXT,
    agent_id TEXT,
    event_type TEXT NOT NULL,
    target TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_attempt_at BIGINT,
    lease_until BIGINT NOT NULL DEFAULT 0,
    response_status BIGINT,
    error TEXT,
    created_at BIGINT NOT NULL,
    delivered_at BIGINT
);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE status = 'pending';
CREATE INDEX deliveries_in_order ON deliveries (order_key, id) WHERE status = 'pending';
CREATE INDEX deliveries_by_organization ON deliveries (organization_id, created_at);

ALTER TABLE calls ADD COLUMN transport TEXT NOT NULL DEFAULT 'sip';
ALTER TABLE calls ADD COLUMN node TEXT;
ALTER TABLE calls ADD COLUMN trunk_id TEXT;
-- The configuration the call ran with, as webhooks show it.
ALTER TABLE calls ADD COLUMN assistant TEXT;
ALTER TABLE calls ADD COLUMN summary TEXT;
ALTER TABLE calls ADD COLUMN report TEXT;
ALTER TABLE calls ADD COLUMN extracted_data TEXT;
ALTER TABLE calls ADD COLUMN cost TEXT;
-- What is billed, and to whom: seconds, tokens, characters, and millionths of the currency.
ALTER TABLE calls ADD COLUMN billed_to TEXT;
ALTER TABLE calls ADD COLUMN billed_day TEXT;
ALTER TABLE calls ADD COLUMN billed_seconds BIGINT;
ALTER TABLE calls ADD COLUMN billed_prompt_tokens BIGINT;
ALTER TABLE calls ADD COLUMN billed_completion_tokens BIGINT;
ALTER TABLE calls ADD COLUMN billed_characters BIGINT;
ALTER TABLE calls ADD COLUMN billed_micros BIGINT;
-- What is left to do after the call: pending, done or failed.
ALTER TABLE calls ADD COLUMN wrap_up TEXT;
ALTER TABLE calls ADD COLUMN wrap_up_attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN wrap_up_lease_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX calls_to_wrap_up ON calls (wrap_up_lease_until) WHERE wrap_up = 'pending';
CREATE INDEX calls_billed ON calls (billed_to, billed_day);
CREATE INDEX calls_by_task ON calls (task_id);

ALTER TABLE tasks ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
-- When the scheduler is to execute it; NULL: nobody asked.
ALTER TABLE tasks ADD COLUMN due_at BIGINT;
ALTER TABLE tasks ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
-- The call of the present attempt, and until when the node that claimed it may take to make it.
ALTER TABLE tasks ADD COLUMN call_id TEXT;
ALTER TABLE tasks ADD COLUMN lease_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX tasks_due ON tasks (due_at) WHERE status = 'pending' AND due_at IS NOT NULL;
CREATE INDEX tasks_leased ON tasks (lease_until) WHERE status = 'in_progress' AND lease_until > 0;

-- Processes that share this database, by their last sign of life.
CREATE TABLE nodes (
    id TEXT PRIMARY KEY NOT NULL,
    seen_at BIGINT NOT NULL
);

-- Who pays; NULL: the organization itself.
ALTER TABLE organizations ADD COLUMN billing_org_id TEXT;
CREATE INDEX organizations_by_parent ON organizations (parent_org_id);

-- A number without an agent may ask its own webhook who answers.
ALTER TABLE phone_numbers ADD COLUMN webhook_url TEXT;
ALTER TABLE phone_numbers ADD COLUMN webhook_secret TEXT;

-- What this installation made up for itself once, such as the key of signed links.
CREATE TABLE settings (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
