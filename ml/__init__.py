"""Trains and judges the nightly fraud baseline from the feature tables, and writes its report."""
