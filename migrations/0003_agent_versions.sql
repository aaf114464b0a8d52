-- Every state an agent has been saved in, so that a change can be looked at and taken back.
CREATE TABLE agent_versions (
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    version BIGINT NOT NULL,
    fields TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (agent_id, version)
);
INSERT INTO agent_versions (agent_id, organization_id, version, fields, created_at)
SELECT id, organization_id, 1, fields, updated_at FROM agents;
CREATE INDEX calls_by_agent ON calls (organization_id, agent_id, started_at);
