"""The engine: an encoded picture and a transform in, an encoded preview out."""
