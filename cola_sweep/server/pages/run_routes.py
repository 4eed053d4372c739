"""The routes of a run's pages and of what they show, and of comparing runs."""

from starlette.routing import Route

from cola_sweep.server.pages import compare, console, logged, run, table
from cola_sweep.server.pages.frame import feed, view

_PROJECT = "/{entity}/{name}"
_RUN = _PROJECT + "/runs/{run_name}"

routes = [
    view(_PROJECT + "/compare", compare.page),
    view(_RUN, run.page),
    view(_RUN + "/table", table.page),
    feed("/data" + _RUN, run.live),
    feed("/data" + _RUN + "/curves", run.curves),
    feed("/data" + _RUN + "/chart", logged.chart),
    feed("/data" + _RUN + "/media", logged.media_of),
    feed("/data" + _RUN + "/console", console.earlier),
    Route("/shown" + _PROJECT + "/{run_name}/{file:path}", logged.run_file),
    Route("/held" + _PROJECT + "/{md5}/{file:path}", logged.artifact_file),
]
