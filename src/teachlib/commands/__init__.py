"""What the commands of ``teachlib`` do, a module each; :mod:`teachlib.cli` offers them."""
