"""How the nouns of `domain/model.py` travel between processes: as the messages of `proto/`."""
