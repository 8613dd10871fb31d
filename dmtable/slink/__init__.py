"""Site links: how the devices of a group are reached at a site, and how far the site may fall behind.

`link.py` says what every site link is; `blockdev` reaches devices by their nodes, `nbd` over a network. Other
packages add kinds.
"""
