"""What the lab costs beside its peers, measured in one run. Not part of the test suite: `python -m tests.bench`."""
