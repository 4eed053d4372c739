"""Optuna studies for `wandb sweep-scheduler`, declared in the sweep file. `cola_sweep/study.py` is its door."""
