"""Block devices: files, memory, and the two that hold no data."""
