"""The commands: dmtable's own verbs, and dmsetup's verbs with dmsetup's output."""
