"""Losses of the method and of its learned rivals: small, pure tensor functions."""
