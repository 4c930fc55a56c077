"""Rules: the language of their conditions, the files that hold them, and the set that is in force."""
