-- What an organization may hold and use, counted together with everything below it.

-- Who is billed is the root of a family, and says so in every row.
UPDATE organizations SET billing_org_id = id WHERE billing_org_id IS NULL;
CREATE INDEX organizations_by_root ON organizations (billing_org_id);
-- What the operator allows this organization in place of the server's quotas.
ALTER TABLE organizations ADD COLUMN quotas TEXT NOT NULL DEFAULT '{}';

-- A transfer holds a second line: both count.
ALTER TABLE calls ADD COLUMN legs BIGINT NOT NULL DEFAULT 1;

-- Counted at every admission, and taken in turns between organizations: few entries are looked at.
DROP INDEX calls_open;
CREATE INDEX calls_open ON calls (organization_id, trunk_id) WHERE status IN ('initiated', 'in_progress');
CREATE INDEX calls_to_wrap_up_by_organization ON calls (organization_id, wrap_up_lease_until) WHERE wrap_up = 'pending';
CREATE INDEX tasks_unfinished ON tasks (organization_id) WHERE status IN ('pending', 'in_progress');
CREATE INDEX tasks_due_by_organization ON tasks (organization_id, due_at) WHERE status = 'pending' AND due_at IS NOT NULL;
CREATE INDEX tasks_by_priority ON tasks (organization_id, priority DESC, due_at, id) WHERE status = 'pending' AND due_at IS NOT NULL;
CREATE INDEX deliveries_due_by_organization ON deliveries (organization_id, next_attempt_at, id) WHERE status = 'pending';

-- Money of a day that is on no call of that day: reports of older calls that were written anew.
CREATE TABLE spent_besides (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    day TEXT NOT NULL,
    micros BIGINT NOT NULL,
    PRIMARY KEY (organization_id, day)
);
