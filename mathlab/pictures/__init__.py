"""Pictures: graphs, networks, pages that recompute, and plots."""
