"""The emulated machine as a process of its own: a device-mapper, its socket and its nodes; its start and its end."""
