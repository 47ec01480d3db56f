"""Servers that need more than ``app.add_middleware(GuardMiddleware)``: one file each."""
