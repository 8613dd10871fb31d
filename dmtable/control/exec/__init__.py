"""`dmtable exec`: unmodified programs against an emulated machine, their system calls answered by seccomp notification.

A compatibility layer and no sandbox: a program that wants to see the real machine can.
"""
