"""One outside thing each: the network, the disk, the package's own files."""
