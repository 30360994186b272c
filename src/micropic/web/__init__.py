"""How previews and errors are said in HTTP."""
