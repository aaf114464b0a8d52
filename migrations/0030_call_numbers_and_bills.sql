-- Lists of calls by number, and usage, are read from indexes: the rows hold documents, and to read each of a hundred
-- thousand takes seconds.
CREATE INDEX calls_by_from_number ON calls (organization_id, from_number, started_at, id);
CREATE INDEX calls_by_to_number ON calls (organization_id, to_number, started_at, id);
CREATE INDEX calls_by_bill ON calls (organization_id, billed_day, billed_seconds, billed_prompt_tokens,
    billed_completion_tokens, billed_characters, billed_micros) WHERE billed_day IS NOT NULL;
DROP INDEX calls_billed;
CREATE INDEX calls_billed ON calls (billed_to, billed_day, organization_id, billed_seconds, billed_prompt_tokens,
    billed_completion_tokens, billed_characters, billed_micros) WHERE billed_day IS NOT NULL;
