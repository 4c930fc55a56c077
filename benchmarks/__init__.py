"""Long measurements, each a command of its own; `docs/decisions.md` notes their last result."""
