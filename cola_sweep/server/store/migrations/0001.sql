-- Version 1 of the server's records. Times are UTC text (see database.iso); *_json columns hold JSON text.

-- What the server keeps about itself: the API key, the secret that signs URLs, counters.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Accounts. The first one is made at first start; others only by the test-only provisioning switch.
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    api_key TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL
);

-- GraphQL fields that were asked for and that nobody resolves, counted for `serve --status`.
CREATE TABLE unknown_fields (
    name TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE projects (
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (entity, name)
);

CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,                    -- the short id that users type
    display_name TEXT,
    description TEXT,
    config TEXT NOT NULL,                  -- the YAML text as it was sent
    method TEXT NOT NULL,
    state TEXT NOT NULL,                   -- PENDING RUNNING PAUSED FINISHED CANCELED ...
    seed INTEGER NOT NULL,                 -- of the search
    controller TEXT,                       -- JSON text the local controller keeps
    scheduler TEXT,
    controller_run TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    heartbeat_at TEXT,
    UNIQUE (project_id, name)
);

CREATE TABLE agents (
    id INTEGER PRIMARY KEY,
    sweep_id INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    name TEXT NOT NULL UNIQUE,
    host TEXT,
    state TEXT NOT NULL,                   -- RUNNING FINISHED CRASHED
    created_at TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL
);
CREATE INDEX agents_by_sweep ON agents (sweep_id);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,                    -- the run id of URLs
    display_name TEXT NOT NULL,
    state TEXT NOT NULL,                   -- pending running finished failed crashed killed preempting preempted
    config_json TEXT NOT NULL DEFAULT '{}',    -- each key {"value": v}, as the client sends it
    summary_json TEXT NOT NULL DEFAULT '{}',
    system_json TEXT NOT NULL DEFAULT '{}',    -- newest value of each system metric
    keys_json TEXT NOT NULL DEFAULT '{}',      -- history keys: {key: {type: count}}
    tags_json TEXT NOT NULL DEFAULT '[]',
    group_name TEXT,
    job_type TEXT,
    notes TEXT,
    host TEXT,
    program TEXT,
    repo TEXT,
    commit_hash TEXT,
    user_name TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    heartbeat_at TEXT,                     -- null until the run's own process spoke
    finished_at TEXT,
    exitcode INTEGER,
    deleted_at TEXT,                       -- a deleted run keeps its name, so that a late upsert is refused
    sweep_id INTEGER REFERENCES sweeps (id) ON DELETE SET NULL,
    agent_id INTEGER REFERENCES agents (id) ON DELETE SET NULL,
    args_json TEXT,                        -- the parameters the search issued, with their types
    issued_at TEXT,
    stop_requested INTEGER NOT NULL DEFAULT 0,
    stop_reason TEXT,
    UNIQUE (project_id, name)
);
CREATE INDEX runs_by_sweep ON runs (sweep_id);

-- Line i of a stream is row (run, i); a repeated request overwrites.
CREATE TABLE history (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    line INTEGER NOT NULL,
    step INTEGER,
    data TEXT NOT NULL,
    PRIMARY KEY (run_id, line)
) WITHOUT ROWID;
CREATE INDEX history_by_step ON history (run_id, step);

CREATE TABLE events (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    line INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run_id, line)
) WITHOUT ROWID;

CREATE TABLE console (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    line INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run_id, line)
) WITHOUT ROWID;

-- Files of runs whose bytes have arrived; the bytes lie in the data folder.
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    md5 TEXT NOT NULL,                     -- base64
    updated_at TEXT NOT NULL,
    UNIQUE (run_id, name)
);
