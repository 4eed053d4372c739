-- The order in which the runs of a sweep, or those of none, last changed: a search reads those alone that have since
-- it last looked.
ALTER TABLE runs ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET revision = 1;
CREATE INDEX runs_by_revision ON runs (sweep_id, revision);

CREATE TRIGGER runs_made AFTER INSERT ON runs BEGIN
    UPDATE runs SET revision = 1 + (SELECT max(revision) FROM runs WHERE sweep_id IS NEW.sweep_id) WHERE id = NEW.id;
END;

-- The columns of an outline (see store/runs.py).
CREATE TRIGGER runs_changed
AFTER UPDATE OF state, args_json, config_json, summary_json, heartbeat_at, stop_requested, agent_id, deleted_at, sweep_id
ON runs BEGIN
    UPDATE runs SET revision = 1 + (SELECT max(revision) FROM runs WHERE sweep_id IS NEW.sweep_id) WHERE id = NEW.id;
END;

-- The few that wait for an agent, among many. Queries must say the same condition to use it.
CREATE INDEX runs_waiting ON runs (sweep_id) WHERE deleted_at IS NULL AND state IN ('pending', 'preempted');
