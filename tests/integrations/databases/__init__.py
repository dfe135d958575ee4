"""Vector databases, each a real one."""
