"""What the service does per second and in memory, as ratios to limits of the same run."""
