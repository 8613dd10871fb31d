"""Device nodes: each md as a file in a folder, through FUSE, so that any program can read and write it."""
