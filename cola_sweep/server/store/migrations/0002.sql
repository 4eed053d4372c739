-- How far each run has come up the rungs of its sweep's early stopping (see climbs.py): made from history when asked for.
CREATE TABLE climbs (
    run_id INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    rule TEXT NOT NULL,                    -- metric and rungs
    lines INTEGER NOT NULL,                -- of history, that it is made from
    climb_json TEXT NOT NULL
);
