"""Tests with other projects: encoders."""
