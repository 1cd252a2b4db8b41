"""The page that sets the thesis's numbers beside measured ones: every chapter's part, in reading order."""


def paper_vs_measured() -> str:
    """What the chapters say of their tables, from what is measured and committed alone."""
    from teachlib import registry  # here: chapters cost seconds, and not every tool needs them

    return "\n\n".join(filter(None, (registry.chapter(key).page() for key in registry.CHAPTERS)))
