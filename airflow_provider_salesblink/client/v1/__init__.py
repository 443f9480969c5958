"""SalesBlink's public API v1.0.0 (``/api/public/v1.0.0``): sequences, lists, leads and the blocklist."""

PREFIX = "/api/public/v1.0.0"
