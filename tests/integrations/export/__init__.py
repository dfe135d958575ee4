"""Tests with other projects: export."""
