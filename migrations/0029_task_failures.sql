-- Why a task failed before anything was dialed.
ALTER TABLE tasks ADD COLUMN failure TEXT;
