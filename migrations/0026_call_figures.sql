-- What a call is counted by, read once from its documents when it is over. `counted` is 1 once it is in the daily figures.
ALTER TABLE calls ADD COLUMN stt_provider TEXT;
ALTER TABLE calls ADD COLUMN llm_provider TEXT;
ALTER TABLE calls ADD COLUMN tts_provider TEXT;
ALTER TABLE calls ADD COLUMN success BIGINT;
-- Milliseconds of each answer, with commas between them.
ALTER TABLE calls ADD COLUMN response_times TEXT;
ALTER TABLE calls ADD COLUMN counted BIGINT;
CREATE INDEX calls_uncounted ON calls (ended_at) WHERE counted IS NULL AND ended_at IS NOT NULL;
CREATE INDEX calls_by_end ON calls (organization_id, ended_at);

-- Days in UTC, by the beginning of the calls. An empty text stands for none.
CREATE TABLE call_days (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    day TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    stt TEXT NOT NULL,
    llm TEXT NOT NULL,
    tts TEXT NOT NULL,
    end_reason TEXT NOT NULL,
    calls BIGINT NOT NULL,
    answered BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    seconds BIGINT NOT NULL,
    micros BIGINT NOT NULL,
    judged BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    cut_offs BIGINT NOT NULL,
    failovers BIGINT NOT NULL,
    PRIMARY KEY (organization_id, day, agent_id, direction, stt, llm, tts, end_reason)
);

-- How many answers took so long: a histogram for each day.
CREATE TABLE response_days (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    day TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    stt TEXT NOT NULL,
    llm TEXT NOT NULL,
    tts TEXT NOT NULL,
    response_ms BIGINT NOT NULL,
    answers BIGINT NOT NULL,
    PRIMARY KEY (organization_id, day, agent_id, direction, stt, llm, tts, response_ms)
);
