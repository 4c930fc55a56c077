"""Trains and judges the nightly fraud baseline from the feature tables, and writes its report."""

# What a training holds while it runs (`lake.lease`).
LEASE = "train"
