"""What every learned method shares: the pool of embeddings, batches, one plain loop, checkpoints."""
