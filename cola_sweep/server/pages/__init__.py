"""The pages that people look at: HTML from templates, data as JSON for their scripts, a few forms. See `frame`."""

from cola_sweep.server.pages import home, project, run, static, sweep
from cola_sweep.server.pages.frame import view

_IN_PROJECT = "/{entity}/{name}"

routes = [
    static.route,
    view("/", home.own),
    view("/{entity}", home.projects_of),
    *(view(_IN_PROJECT + tail, project.page) for tail in ("", "/workspace", "/runs", "/sweeps")),
    view(_IN_PROJECT + "/runs/{run_name}", run.page),
    view(_IN_PROJECT + "/sweeps/{sweep_name}", sweep.page),
]
