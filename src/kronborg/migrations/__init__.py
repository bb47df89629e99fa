"""Schema migrations, shipped in the wheel and run by `kronborg.core.migrate`."""
