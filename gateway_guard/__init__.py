"""Detect and slow model distillation at the gateway, inline, from the environment alone."""
