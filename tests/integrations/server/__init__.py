"""Clients of a server, real ones, and requests by the thousand."""
