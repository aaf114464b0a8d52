-- Counts the changes of a document, so that a change says which state it was made from.
ALTER TABLE agents ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE tasks ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE trunks ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE phone_numbers ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE organizations ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
UPDATE agents SET version = COALESCE((SELECT MAX(v.version) FROM agent_versions v WHERE v.agent_id = agents.id), 1);
