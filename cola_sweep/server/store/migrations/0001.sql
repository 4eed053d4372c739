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
    description TEXT,
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

-- Which agent was given which run, and what its heartbeats said of the run since.
CREATE TABLE assignments (
    run_id INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    issued_at TEXT NOT NULL,
    reported_at TEXT,                      -- newest heartbeat that listed the run
    gone_at TEXT                           -- first heartbeat that no longer did
);
CREATE INDEX assignments_by_agent ON assignments (agent_id);

-- Runs of before that a sweep learns from: wandb sweep --prior_run.
CREATE TABLE prior_runs (
    sweep_id INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (sweep_id, run_id)
) WITHOUT ROWID;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,                    -- the run id of URLs
    display_name TEXT NOT NULL,
    state TEXT NOT NULL,                   -- pending running finished failed crashed killed preempting preempted
    config_json TEXT NOT NULL DEFAULT '{}',    -- each key {"value": v}, as the client sends it
    summary_json TEXT NOT NULL DEFAULT '{}',
    system_json TEXT NOT NULL DEFAULT '{}',    -- newest value of each system metric
    keys_json TEXT NOT NULL DEFAULT '{}',      -- what history holds of each key (see history_keys.py)
    history_lines INTEGER NOT NULL DEFAULT 0,  -- one more than the greatest line of each stream
    events_lines INTEGER NOT NULL DEFAULT 0,
    console_lines INTEGER NOT NULL DEFAULT 0,
    last_step INTEGER,                         -- greatest step of history
    tags_json TEXT NOT NULL DEFAULT '[]',
    group_name TEXT,
    job_type TEXT,
    notes TEXT,
    description TEXT,
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
-- deleted_at, always null here, spares a count the table.
CREATE INDEX runs_by_age ON runs (project_id, created_at, id, deleted_at) WHERE deleted_at IS NULL;

-- For the clock that ends runs: the few that are open, among many. Queries must say the same condition to use it.
CREATE INDEX runs_open ON runs (state) WHERE deleted_at IS NULL AND state IN ('pending', 'running', 'preempting');

-- What run.alert() said.
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    severity TEXT NOT NULL,                -- INFO WARN ERROR
    created_at TEXT NOT NULL
);
CREATE INDEX alerts_by_run ON alerts (run_id);

-- Line i of a stream is row (run, i); a repeated request overwrites.
CREATE TABLE history (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    line INTEGER NOT NULL,
    step INTEGER NOT NULL,
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

-- Of runs that several processes write at once: the line of the run that a process's own line became.
CREATE TABLE shared_lines (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stream TEXT NOT NULL,                  -- history events console
    writer TEXT NOT NULL,                  -- the process
    number INTEGER NOT NULL,               -- of the line as the process counts
    line INTEGER NOT NULL,
    PRIMARY KEY (run_id, stream, writer, number)
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

-- Artifacts. AUTOINCREMENT, since manifests and histories keep ids: that of a deleted row must never name another.
CREATE TABLE artifact_types (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT,
    created_at TEXT NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE artifact_collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    type_id INTEGER NOT NULL REFERENCES artifact_types (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,                    -- ArtifactSequence (versions logged here) or ArtifactPortfolio (linked here)
    name TEXT NOT NULL,
    description TEXT,
    next_version INTEGER NOT NULL DEFAULT 0,   -- the number of a deleted version is not given again
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (project_id, name)
);
CREATE INDEX artifact_collections_by_type ON artifact_collections (type_id);

CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sequence_id INTEGER NOT NULL REFERENCES artifact_collections (id) ON DELETE CASCADE,
    run_id INTEGER REFERENCES runs (id) ON DELETE SET NULL,    -- that made it
    state TEXT NOT NULL,                   -- PENDING until its manifest and files are here, then COMMITTED
    digest TEXT NOT NULL,
    distributed_id TEXT,
    description TEXT,
    metadata_json TEXT,
    ttl_seconds INTEGER,                   -- null: inherited; -2: switched off
    history_step INTEGER,
    wanted_aliases_json TEXT NOT NULL DEFAULT '[]',    -- given when it is committed
    size INTEGER NOT NULL DEFAULT 0,
    file_count INTEGER NOT NULL DEFAULT 0,
    manifest_id INTEGER,                   -- the whole one, of artifact_manifests
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX artifacts_by_digest ON artifacts (sequence_id, digest);
CREATE INDEX artifacts_by_run ON artifacts (run_id);

-- The ids that clients choose for artifacts and sequences before the server has numbered them.
CREATE TABLE artifact_client_ids (
    client_id TEXT PRIMARY KEY,
    artifact_id INTEGER REFERENCES artifacts (id) ON DELETE CASCADE,
    sequence_id INTEGER REFERENCES artifact_collections (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX artifact_client_ids_by_artifact ON artifact_client_ids (artifact_id);
CREATE INDEX artifact_client_ids_by_sequence ON artifact_client_ids (sequence_id);

-- A version: this artifact is number `version` of that collection, from its commit or its link on.
CREATE TABLE artifact_memberships (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES artifact_collections (id) ON DELETE CASCADE,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (collection_id, version),
    UNIQUE (artifact_id, collection_id)
);

CREATE TABLE artifact_aliases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    membership_id INTEGER NOT NULL REFERENCES artifact_memberships (id) ON DELETE CASCADE,
    collection_id INTEGER NOT NULL REFERENCES artifact_collections (id) ON DELETE CASCADE,
    alias TEXT NOT NULL,
    UNIQUE (collection_id, alias)
);
CREATE INDEX artifact_aliases_by_membership ON artifact_aliases (membership_id);

CREATE TABLE artifact_tags (
    id INTEGER PRIMARY KEY,
    artifact_id INTEGER REFERENCES artifacts (id) ON DELETE CASCADE,       -- either this
    collection_id INTEGER REFERENCES artifact_collections (id) ON DELETE CASCADE,  -- or this
    name TEXT NOT NULL,
    UNIQUE (artifact_id, name),
    UNIQUE (collection_id, name)
);

CREATE TABLE artifact_manifests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,                    -- FULL, INCREMENTAL (on top of base_id) or PATCH (a part of many)
    digest TEXT NOT NULL DEFAULT '',       -- base64 MD5 of its bytes; empty while the client has not said
    base_id INTEGER,                       -- an artifact
    received INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX artifact_manifests_by_artifact ON artifact_manifests (artifact_id);

-- What artifacts list. Rows of a pending artifact keep the bytes that it was promised.
CREATE TABLE artifact_files (
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,                  -- as the manifest has it
    md5 TEXT,                              -- of a file stored here, in hex
    ref TEXT,                              -- where a reference leads
    size INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (artifact_id, path)
) WITHOUT ROWID;
CREATE INDEX artifact_files_by_md5 ON artifact_files (md5);

CREATE TABLE artifact_lineage (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    role TEXT NOT NULL,                    -- output (logged) or input (used)
    used_as TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (run_id, artifact_id, role)
) WITHOUT ROWID;
CREATE INDEX artifact_lineage_by_artifact ON artifact_lineage (artifact_id);
