-- What a sweep's file said until it was changed while it ran: wandb sweep --update. Its own row has what it says now.
CREATE TABLE sweep_changes (
    id INTEGER PRIMARY KEY,
    sweep_id INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    config TEXT NOT NULL,
    changed_at TEXT NOT NULL
);
CREATE INDEX sweep_changes_by_sweep ON sweep_changes (sweep_id);
