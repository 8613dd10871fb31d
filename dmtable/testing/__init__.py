"""What tests of other projects use: strategies, contract suites, a state machine, fixtures for pytest."""
