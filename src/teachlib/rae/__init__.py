"""Regularized autoencoders and ex-post density estimation (thesis chapter 3)."""
