"""What each field of the API is: one module per subject, merged here."""

from cola_sweep.server.graphql import Resolvers
from cola_sweep.server.resolvers import (
    account,
    agents,
    artifacts,
    charts,
    files,
    history,
    projects,
    runs,
    scheduler,
    sweeps,
)

_SUBJECTS = (account, agents, artifacts, charts, files, history, projects, runs, scheduler, sweeps)

resolvers = Resolvers(*(subject.resolvers for subject in _SUBJECTS))
