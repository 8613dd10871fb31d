"""Device nodes: real mounts where there is /dev/fuse, and the protocol over a socket."""
