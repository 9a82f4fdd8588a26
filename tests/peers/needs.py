"""What the comparisons of this folder need, and saying what of it is not here."""

import importlib.util
import os


def lacking(modules, paths):
    """Whether a module or a file is missing, which is said: then there is nothing to compare, and nothing wrong."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    missing += [path for path in paths if not os.path.exists(path)]
    if missing:
        print(f"SKIPPED: {', '.join(missing)} missing")
    return bool(missing)
