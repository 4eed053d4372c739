"""HTTP routes of the bytes of artifacts."""

from starlette.routing import Route

routes: list[Route] = []
