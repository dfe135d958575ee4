"""Text encoders and what holds them, the real ones."""
