"""Mutants: the code spoilt in one small place each. A test must fail for it, or one is missing.

A runner of ours, for two reasons. mutmut changes the bodies of functions only, where half of what a log's layout and a
rule say stands in constants and defaults; and it imports itself into each module, which the tests of what is loaded
rightly refuse. cosmic-ray writes mutants into the working tree and runs all tests anew for each; here a mutant is only
ever in memory, and only those tests are run that reach its line.
"""
