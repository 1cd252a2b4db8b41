"""What an author of the book can mend."""


class PageError(ValueError):
    """What a page's generator cannot work with, in words for the author of the file it read."""
