"""The proving ground at work: a reference replicator, its planted defects, and the explorer that must find them."""
