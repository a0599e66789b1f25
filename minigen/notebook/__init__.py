"""What the pages draw and play with."""
