"""What is done with a case, a module for each stage, and what they share."""
