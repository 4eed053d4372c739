"""Custom charts: what a run logged by `wandb.plot` or `wandb.sklearn`, as Vega-Lite specs with their rows.

The client sends the name of a spec, which column of a table stands for which field of it, and the table; the specs
are the server's: `presets.yaml` holds those that the client names by itself, `resolvers.charts` keeps those of users.
"""
