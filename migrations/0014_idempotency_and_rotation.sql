-- The answers to requests with an Idempotency-Key, for a day. Without a status the request is still being answered.
CREATE TABLE idempotency_keys (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    idempotency_key TEXT NOT NULL,
    -- SHA-256 of method, path and body.
    fingerprint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Until then the process that claimed the key is answering.
    lease_until BIGINT NOT NULL,
    status BIGINT,
    -- Payload and headers as JSON.
    answer TEXT,
    PRIMARY KEY (organization_id, idempotency_key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- The secret before the present one of a number's webhook, and until when it signs as well.
ALTER TABLE phone_numbers ADD COLUMN previous_webhook_secret TEXT;
ALTER TABLE phone_numbers ADD COLUMN webhook_rotation_ends_at TEXT;
