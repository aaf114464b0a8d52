-- Tasks that are started, paused and repeated together.
CREATE TABLE batches (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX batches_by_age ON batches (organization_id, created_at, id);
ALTER TABLE tasks ADD COLUMN batch_id TEXT;
-- While the batch is paused: when the task would be due.
ALTER TABLE tasks ADD COLUMN held_due_at BIGINT;
CREATE INDEX tasks_by_batch ON tasks (batch_id, status) WHERE batch_id IS NOT NULL;
