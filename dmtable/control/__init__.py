"""The requests of the kernel's device-mapper interface, by its own names."""
