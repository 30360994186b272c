"""The real origin, the real service and the pictures that the tests work with."""
