"""Text to table and back: scanner and grammar, the tree, diagnostics, writers, dmsetup's own reading.

Nothing here knows what a target does or whether a device exists: a table can be read and rewritten
with nothing but its text.
"""
