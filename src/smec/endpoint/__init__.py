"""HTTP endpoints that smec asks: one client, with a key, retries and a rate limit."""
