"""Pages at the addresses that the client prints."""

from starlette.routing import Route

routes: list[Route] = []
