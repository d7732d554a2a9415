"""Foreign weights in our modules and back: `scenic` for the official JAX/Flax ones."""
