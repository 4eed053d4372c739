"""The pages that people look at: HTML from templates, data as JSON for their scripts, a few forms. See `frame`."""

from cola_sweep.server.pages import home, project, run_routes, static, sweep
from cola_sweep.server.pages.frame import action, feed, view

_IN_PROJECT = "/{entity}/{name}"
_SWEEP = "/sweeps/{sweep_name}"

routes = [
    static.route,
    feed("/data" + _IN_PROJECT, project.live),
    feed("/data" + _IN_PROJECT + _SWEEP, sweep.live),
    feed("/data" + _IN_PROJECT + _SWEEP + "/importance", sweep.shares),
    action("/actions" + _IN_PROJECT + _SWEEP, sweep.steer),
    view("/", home.own),
    view("/{entity}", home.projects_of),
    *(view(_IN_PROJECT + tail, project.page) for tail in ("", "/workspace", "/runs", "/sweeps")),
    *run_routes.routes,
    view(_IN_PROJECT + _SWEEP, sweep.page),
]
