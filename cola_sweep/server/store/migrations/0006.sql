-- An agent's open runs, and its newest, in as little time after thousands of trials as after the first.
CREATE INDEX runs_open_of_agent ON runs (agent_id)
WHERE deleted_at IS NULL AND state IN ('pending', 'running', 'preempting');
DROP INDEX assignments_by_agent;
CREATE INDEX assignments_by_agent ON assignments (agent_id, issued_at);
