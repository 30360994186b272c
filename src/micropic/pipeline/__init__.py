"""The previewers: `Local` does the work, the others wrap a previewer and add one concern."""
