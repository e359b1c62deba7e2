"""The only package that imports Ray: one file per verb, each with a config, ``run(config)`` and a printed result."""

from workflows import environment as environment  # first: Ray reads the environment while it is imported
