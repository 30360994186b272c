"""Which parts there are and how they are stacked: here, and nowhere else."""
