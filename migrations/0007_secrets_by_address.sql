-- A provider key goes to one address: the provider's own, or the one it was stored for. An organization may have a key
-- for each. SQLite cannot change a constraint, so the table is made again.

CREATE TABLE secrets_by_address (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    provider TEXT NOT NULL,
    base_url TEXT NOT NULL DEFAULT '', -- empty: the provider's own
    ciphertext TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (organization_id, provider, base_url)
);

INSERT INTO secrets_by_address (id, organization_id, name, provider, ciphertext, created_at, updated_at)
SELECT id, organization_id, name, provider, ciphertext, created_at, updated_at FROM secrets;

DROP TABLE secrets;

ALTER TABLE secrets_by_address RENAME TO secrets;
