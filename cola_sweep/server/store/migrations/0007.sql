-- Tables with row numbers: in those without, SQLite puts each line of over a quarter of a page on a page of its own.
CREATE TABLE history_lines (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    line INTEGER NOT NULL,
    step INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run_id, line)
);
INSERT INTO history_lines SELECT run_id, line, step, data FROM history ORDER BY run_id, line;
DROP TABLE history;
ALTER TABLE history_lines RENAME TO history;
CREATE INDEX history_by_step ON history (run_id, step, line);

CREATE TABLE events_lines (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    line INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run_id, line)
);
INSERT INTO events_lines SELECT run_id, line, data FROM events ORDER BY run_id, line;
DROP TABLE events;
ALTER TABLE events_lines RENAME TO events;

CREATE TABLE console_lines (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    line INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run_id, line)
);
INSERT INTO console_lines SELECT run_id, line, data FROM console ORDER BY run_id, line;
DROP TABLE console;
ALTER TABLE console_lines RENAME TO console;
