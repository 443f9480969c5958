"""Operators that call SalesBlink."""
