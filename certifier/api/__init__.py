"""HTTP API of the certifier: reads of the projection, described by OpenAPI at `/openapi.json`."""

from certifier.api.application import create_application

__all__ = ["create_application"]
