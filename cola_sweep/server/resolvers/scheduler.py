"""The local scheduler."""

from cola_sweep.server.graphql import Resolvers

resolvers = Resolvers()
