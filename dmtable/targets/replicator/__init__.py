"""The replicator: a group of devices, replicated to sites in write order through one log.

Here are its words in both dialects, what it says (status) and is told (messages), and the group that does the work.
"""
