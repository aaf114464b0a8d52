-- An e-mail address has an account in each of its organizations. SQLite cannot change a constraint, so the table is made
-- again, and with it the one that refers to it: a table with rows that refer to another one's goes first.

CREATE TABLE accounts (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    email TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    name TEXT,
    updated_at BIGINT NOT NULL DEFAULT 0,
    UNIQUE (organization_id, email)
);

INSERT INTO accounts (id, organization_id, email, password_hash, role, created_at, name, updated_at)
SELECT id, organization_id, email, password_hash, role, created_at, name, updated_at FROM users;

CREATE TABLE account_sessions (
    hash TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

INSERT INTO account_sessions (hash, user_id, organization_id, created_at, expires_at)
SELECT hash, user_id, organization_id, created_at, expires_at FROM sessions;

DROP TABLE sessions;
DROP TABLE users;
ALTER TABLE accounts RENAME TO users;
ALTER TABLE account_sessions RENAME TO sessions;

CREATE INDEX users_by_email ON users (email);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX invitations_by_email ON invitations (organization_id, email);

-- Where an account was logged in from: those sources are let in while strangers guess. Kept as SHA-256 with this
-- installation's secret.
CREATE TABLE login_sources (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, source)
);
