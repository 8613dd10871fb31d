"""Lives of a group, drawn from seeds: `python -m tests.replication.drawn FIRST LAST` lives many, and judges them."""
