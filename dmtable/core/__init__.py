"""The emulated device-mapper: bios, targets, tables, mapped devices. Knows no target by name."""
