-- The agent that spoke, in calls that were handed from one agent to another.
ALTER TABLE turns ADD COLUMN agent_id TEXT;
