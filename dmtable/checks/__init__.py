"""Every finding about a table: how its lines lie, its units, its devices, each target's own judgement."""

from dmtable.checks.one_pass import check as check
from dmtable.checks.one_pass import first_refusal as first_refusal
