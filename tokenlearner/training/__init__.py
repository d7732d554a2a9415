"""Training and evaluation: data, recipes, the loop, metrics."""
