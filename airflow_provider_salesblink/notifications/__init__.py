"""The notifiers."""
