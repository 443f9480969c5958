"""Triggers: they wait in the triggerer and hold no worker."""
