"""What a recovery decides: the table that it goes by."""

from __future__ import annotations

from dmtable.replog.recovery import VERDICTS, Look, Place, Verdict

_VERDICTS = {
    Verdict.TAKE: "**takes it**",
    Verdict.END: "ends here: no promise is broken",
    Verdict.DAMAGE: "damage: lost, listed, copied anew",
}


def table() -> str:
    """A row for everything that can stand where an entry should, in the order in which it is looked for."""
    head = ["| what stands there | " + " | ".join(place.value for place in Place) + " |", "|---|---|---|"]
    rows = [
        f"| {look.value} | " + " | ".join(_VERDICTS[VERDICTS[look, place]] for place in Place) + " |" for look in Look
    ]
    return "\n".join([*head, *rows])
