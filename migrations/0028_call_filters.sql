-- Lists of calls that are filtered by their outcome or a provider are counted from the index: the rows hold documents,
-- and to read each of a hundred thousand takes a second.
DROP INDEX calls_by_organization;
CREATE INDEX calls_by_organization ON calls (organization_id, started_at, id, agent_id, direction, status, end_reason,
    stt_provider, llm_provider, tts_provider, success);
