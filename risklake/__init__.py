"""The command line `risklake`: thin verbs over the generator, the streams, the marts and the model."""
