"""The slides' story with real parts: two replicated volumes, a file system, a database, and a bad day.

python -m examples.demo [FOLDER]
"""
