-- Links that show one call to people without an account, until they expire or are revoked.
CREATE TABLE call_shares (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    call_id TEXT NOT NULL,
    recording BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX call_shares_by_call ON call_shares (organization_id, call_id, created_at, id);
CREATE INDEX call_shares_by_end ON call_shares (expires_at);
