"""Previews of pictures that live on other people's servers."""

import os

# What the core of gRPC writes to standard error by itself is no JSON, and an exception says the
# same. It looks here when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

__version__ = "0.1.0"
