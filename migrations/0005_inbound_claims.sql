-- Since when a trunk takes calls from each of its networks, and reads numbers as it does (JSON). Without a value: since
-- the trunk was made.
ALTER TABLE trunks ADD COLUMN inbound_claim TEXT;
