"""Tasks that wait for something in SalesBlink."""
