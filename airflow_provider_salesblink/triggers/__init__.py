"""Waiting without a worker: what runs in the triggerer."""
