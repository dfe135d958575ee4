"""Tests of `smec judge` against real scorers behind real HTTP servers."""
