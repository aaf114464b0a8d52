-- Rules that watch calls, trunks and cost, and what they have told.
CREATE TABLE alert_rules (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    fields TEXT NOT NULL,
    state TEXT NOT NULL,
    state_since BIGINT NOT NULL,
    breach_since BIGINT,
    fired_at BIGINT,
    evaluated_at BIGINT,
    last_value DOUBLE PRECISION,
    last_calls BIGINT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX alert_rules_by_age ON alert_rules (organization_id, created_at, id);

CREATE TABLE alert_events (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    rule_id TEXT NOT NULL REFERENCES alert_rules (id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    value DOUBLE PRECISION,
    calls BIGINT,
    delivery_id TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX alert_events_by_rule ON alert_events (organization_id, rule_id, created_at, id);

-- Work that one process does at a time.
CREATE TABLE leases (
    name TEXT PRIMARY KEY NOT NULL,
    holder TEXT NOT NULL,
    held_until BIGINT NOT NULL
);
