"""The toy's table."""

import pandas as pd

from teachlib.tables import Table

TABLES = {
    "toy": Table(
        title="Table of the toy",
        folder="toy",
        rows={"toy-pca": "PCA"},
        columns=("error",),
        dataset="digits",
        printed=lambda dataset: pd.DataFrame({"error": {"toy-pca": 0.125}}) if dataset == "digits" else None,
    )
}


def page() -> str:
    """The toy's part of the page."""
    return "## The toy\n\nIt was never published."
