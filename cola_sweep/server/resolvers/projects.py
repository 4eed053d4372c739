"""Projects: listing, making, and the lists of runs in them."""

from typing import Any

from cola_sweep.server import ids
from cola_sweep.server.connections import page
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, Refused, Resolvers
from cola_sweep.server.resolvers import account
from cola_sweep.server.store import projects, runs, users
from cola_sweep.server.store.projects import Project

resolvers = Resolvers()
DEFAULT_PROJECT = "uncategorized"


def named(context: Context, entity: object, name: object) -> tuple[str, str]:
    """The (entity, project) that a client means: its own, and `uncategorized`, where it names none."""
    return str(entity or context.user.name), str(name or DEFAULT_PROJECT)


@resolvers.field("Query", "project", "model")
def _project(context: Context, parent: Any, args: Args) -> Project | None:
    return projects.get(context.store, *named(context, args.get("entityName"), args.get("name")))


@resolvers.field("Query", "models", "projects")
def _projects(context: Context, parent: Any, args: Args) -> Args:
    entity, _ = named(context, args.get("entityName"), None)
    after = ids.decode(args["after"], "Project") if args.get("after") else 0
    found = projects.of_entity(context.store, entity, after=after)
    return page(found, args.get("first"), lambda project: ids.encode("Project", project.id))


@resolvers.field("Mutation", "upsertModel")
def _upsert_project(context: Context, parent: Any, args: Args) -> Args:
    given = args["input"]
    if given.get("id"):
        project = projects.by_id(context.store, ids.decode(given["id"], "Project"))
        if project is None:
            raise Refused("there is no such project")
        inserted = False
    else:
        entity, name = named(context, given.get("entityName"), given.get("name"))
        inserted = projects.get(context.store, entity, name) is None
        project = projects.ensure(context.store, entity, name)
    if given.get("description") is not None:
        projects.describe(context.store, project.id, given["description"])
        project = projects.by_id(context.store, project.id)
    return {"project": project, "model": project, "inserted": inserted}


@resolvers.field("Project", "id")
def _id(context: Context, project: Project, args: Args) -> str:
    return ids.encode("Project", project.id)


@resolvers.field("Project", "internalId")
def _internal_id(context: Context, project: Project, args: Args) -> str:
    return str(project.id)


@resolvers.field("Project", "entity")
def _entity(context: Context, project: Project, args: Args) -> Args:
    return account.entity_named(context, project.entity)


@resolvers.field("Project", "entityName")
def _entity_name(context: Context, project: Project, args: Args) -> str:
    return project.entity


@resolvers.field("Project", "user")
def _user(context: Context, project: Project, args: Args) -> Any:
    return users.by_name(context.store, project.entity)


@resolvers.field("Project", "readOnly", "isBenchmark")
def _no(context: Context, project: Project, args: Args) -> bool:
    return False


@resolvers.field("Project", "access")
def _access(context: Context, project: Project, args: Args) -> str:
    return "PRIVATE"


@resolvers.field("Project", "views")
def _views(context: Context, project: Project, args: Args) -> str:
    return "{}"


@resolvers.field("Project", "totalRuns")
def _total_runs(context: Context, project: Project, args: Args) -> int:
    return runs.count(context.store, project.id)
