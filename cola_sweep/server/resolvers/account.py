"""Who asks, entities, users, and what this server says about itself."""

from typing import Any

from cola_sweep.server import ids
from cola_sweep.server.connections import page
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, Resolvers
from cola_sweep.server.store import users
from cola_sweep.server.store.users import User

resolvers = Resolvers()

# The client takes a feature that is not listed as off. Off on purpose: ARTIFACT_DIGEST_ALGORITHM (the
# client then keeps to MD5 and asks nothing).
FEATURES = (
    "ARTIFACT_COLLECTIONS_FILTERING_SORTING",
    "ARTIFACT_COLLECTION_MEMBERSHIP_FILES",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "ARTIFACT_TAGS",
    "CLIENT_IDS",
    "FILESTREAM_GZIP",
    "LARGE_FILENAMES",
    "MARK_RUN_FILES_UPLOADED",
    "PROJECT_ARTIFACT_COLLECTION_MEMBERSHIP",
    "STRUCTURED_CONSOLE_LOGS",
    "SWEEPS_LOCAL_SCHEDULER",
    "SWEEPS_QUERY_FILTERING",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "UPDATE_RUN_STATE",
    "USE_ARTIFACT_WITH_ENTITY_AND_PROJECT_INFORMATION",
)

# The newest client that this server is known to serve. Older ones ask for it before they log an image.
NEWEST_CLIENT = "0.31.0"
_KEY_NAME_LENGTH = 8


@resolvers.field("Query", "viewer")
def viewer(context: Context, parent: Any, args: Args) -> User:
    return context.user


@resolvers.field("Query", "users")
def search_users(context: Context, parent: Any, args: Args) -> Args:
    return _connection(users.search(context.store, args.get("query") or ""))


@resolvers.field("Query", "user")
def user(context: Context, parent: Any, args: Args) -> User | None:
    return users.by_name(context.store, args.get("userName") or args.get("username") or "")


@resolvers.field("Query", "serverInfo")
def server_info(context: Context, parent: Any, args: Args) -> Args:
    features = [{"__typename": "ServerFeature", "name": name, "isEnabled": True} for name in FEATURES]
    return {
        "__typename": "ServerInfo",
        "features": features,
        "cliVersionInfo": {"max_cli_version": NEWEST_CLIENT},
        # Null: no newer server is offered.
        "latestLocalVersionInfo": None,
    }


@resolvers.field("Query", "organization")
def organization(context: Context, parent: Any, args: Args) -> None:
    return None


@resolvers.field("Query", "entity")
def entity(context: Context, parent: Any, args: Args) -> Args:
    return entity_named(context, args.get("name") or context.user.name)


def entity_named(context: Context, name: str) -> Args:
    """A user's entity: where the user's projects are, and a team of one. A name that no user has is `available`."""
    user = users.by_name(context.store, name)
    return {
        "__typename": "Entity",
        "id": ids.encode("Entity", user.id if user else 0),
        "name": name,
        "available": user is None,
        "photoUrl": None,
        "readOnly": False,
        "readOnlyAdmin": False,
        "isTeam": False,
        "entityType": "user",
        "privateOnly": True,
        "storageBytes": "0",
        "codeSavingEnabled": True,
        "defaultAccess": "PRIVATE",
        "isPaid": False,
        "organization": None,
        "members": [member(user)] if user else [],
    }


def member(user: User) -> Args:
    """A user as a member of a team; another user's key is never shown."""
    return {
        "__typename": "Member",
        "id": ids.encode("User", user.id),
        "admin": True,
        "pending": False,
        "email": user.email,
        "username": user.name,
        "name": user.name,
        "photoUrl": None,
        "accountType": "USER",
        "apiKey": None,
    }


@resolvers.field("User", "id")
def user_id(context: Context, user: User, args: Args) -> str:
    return ids.encode("User", user.id)


@resolvers.field("User", "username", "entity")
def username(context: Context, user: User, args: Args) -> str:
    return user.name


@resolvers.field("User", "admin")
def admin(context: Context, user: User, args: Args) -> bool:
    return False


@resolvers.field("User", "flags", "deletedAt", "photoUrl", "accountType")
def nothing(context: Context, user: User, args: Args) -> None:
    return None


@resolvers.field("User", "teams")
def teams(context: Context, user: User, args: Args) -> Args:
    return _connection([entity_named(context, user.name)])


@resolvers.field("User", "apiKeys")
def api_keys(context: Context, user: User, args: Args) -> Args:
    """Keys by their names, which are no secrets: how they begin."""
    name = user.api_key[:_KEY_NAME_LENGTH]
    key = {"__typename": "ApiKey", "id": ids.encode("ApiKey", user.id), "name": name, "description": None}
    return _connection([key] if user == context.user else [])


def _connection(nodes: list[Any]) -> Args:
    return page(nodes, None, lambda node: "")
