"""Dirty logs: which regions of a device may differ from their copies, and which are known not to.

The kinds are plug-ins; `kinds` finds them by name.
"""
