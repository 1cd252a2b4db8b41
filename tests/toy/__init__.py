"""A chapter that exists for tests alone, written as CONTRIBUTING says: one linear layer that rebuilds digits."""
