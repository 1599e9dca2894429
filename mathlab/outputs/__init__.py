"""CSV files: what is in them, writing and comparing them."""
