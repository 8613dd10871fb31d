"""The targets, one file each: what words it accepts, how it maps, what it reports."""
