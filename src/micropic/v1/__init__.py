"""Made by `make gen` from proto/: not to be edited."""
