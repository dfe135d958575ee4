"""Commands that regenerate every number in the documentation: ``python -m benchmarks``."""
