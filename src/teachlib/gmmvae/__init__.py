"""Gaussian-mixture VAEs that classify, and refuse (thesis chapter 4)."""
