"""Tests that need other projects installed: `make test-integrations`."""
