"""Named configurations: Python functions that return a whole config.

datasets     of ``temporay generate``: quickstart, both papers, both together
training     of ``temporay sft``, ``grpo`` and ``tune``
quickstart   of ``temporay run``
"""
