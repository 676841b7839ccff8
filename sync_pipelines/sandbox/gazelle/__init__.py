"""A look-alike of Gazelle's GraphQL API."""
