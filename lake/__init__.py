"""What everybody may import: the table catalog, settings, the session, storage and the errors."""
