"""What a replicated group would come to: the production replicator under a load, over a link, in simulated time."""
