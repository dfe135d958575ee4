"""What is written for other software, read by that software."""
