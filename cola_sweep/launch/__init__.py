"""Where agents run: `local`, `ray`, `slurm`. Each has one `run`, which starts them and returns an exit code."""
