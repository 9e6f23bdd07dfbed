"""The users domain, the worked example: its table, its schemas and its routes."""
