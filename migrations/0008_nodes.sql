-- Since when a process has said that it lives without a gap, by the database's own clock.
ALTER TABLE nodes ADD COLUMN joined_at BIGINT NOT NULL DEFAULT 0;
