"""Where pytest's entry point leads: the plugin, under its one name, so that `-p dmtable.testing.plugin` is the same."""

pytest_plugins = ("dmtable.testing.plugin",)
