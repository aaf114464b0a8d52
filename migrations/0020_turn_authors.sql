-- Whose words the agent said, where they are not its own.
ALTER TABLE turns ADD COLUMN said_by TEXT;
