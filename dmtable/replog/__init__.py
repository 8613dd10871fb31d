"""Replication logs: where the writes of a group of devices wait, in their order, for the sites that lack them.

`log.py` says what every log is; `ringbuffer` keeps it on a device, `memory` nowhere. Other packages add kinds.
"""
