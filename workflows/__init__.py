"""The only package that imports Ray: one file per verb, each with a config, ``run(config)`` and a printed result."""
