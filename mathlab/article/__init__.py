"""Articles: the numbers of a document, and what accounts for each of them."""
