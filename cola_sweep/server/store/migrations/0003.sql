-- Why the server told an agent to leave a sweep that goes on; null of all others.
ALTER TABLE agents ADD COLUMN exit_reason TEXT;
