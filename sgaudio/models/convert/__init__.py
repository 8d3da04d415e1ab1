"""Published checkpoints become models of ours. What a stranger wrote is read by readers of our own, which can build plain values only."""
