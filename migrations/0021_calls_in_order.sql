-- Pages of calls, newest first, with the id for calls of one moment: without it each page is sorted anew.
DROP INDEX calls_by_organization;
CREATE INDEX calls_by_organization ON calls (organization_id, started_at, id);
DROP INDEX calls_by_agent;
CREATE INDEX calls_by_agent ON calls (organization_id, agent_id, started_at, id);
