"""GIF: a StyleGAN2 that obeys renderings of a three-dimensional head (thesis chapter 5)."""
