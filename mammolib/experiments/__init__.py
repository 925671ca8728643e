"""The book's experiments as data, the profiles they run in, and what prepares, runs and evaluates them."""
