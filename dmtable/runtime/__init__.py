"""Time, threads and waiting, behind one interface: nothing else in dmtable sleeps, starts a thread or reads a clock."""
