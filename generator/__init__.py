"""Makes labelled payment streams: transactions, the frauds among them, and the disputes that report them."""
