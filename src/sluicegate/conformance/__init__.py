"""Test suites that every plugin passes, shipped so that authors outside can run them too."""
