"""The public API v1.0.0, on the same data as the classic API."""

PREFIX = "/api/public/v1.0.0"
