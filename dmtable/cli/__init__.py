"""The `dmtable` command: one module for each command, which is loaded when it is asked for."""

COMMANDS = {
    "check": "dmtable.cli.check",
    "explain": "dmtable.cli.explain",
    "fmt": "dmtable.cli.fmt",
    "convert": "dmtable.cli.convert",
    "diff": "dmtable.cli.diff",
    "where": "dmtable.cli.where",
    "graph": "dmtable.cli.graph",
    "read": "dmtable.cli.read",
    "write": "dmtable.cli.write",
    "shell": "dmtable.cli.shell",
    "torture": "dmtable.cli.torture",
    "log": "dmtable.cli.log",
    "verify": "dmtable.cli.verify",
    "failover": "dmtable.cli.failover",
    "plan": "dmtable.cli.plan",
    "exec": "dmtable.cli.exec",
    "daemon": "dmtable.cli.daemon",
}
"""dmtable's own commands and their modules; beside them each of dmsetup's verbs is one."""
