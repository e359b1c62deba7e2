"""The deviation of a task moves with groups that have a signal, and with no others."""

from temporay.operators.reinforcement.task_scales import TaskScales


def test_groups_without_a_signal_do_not_move_the_scale() -> None:
    scales = TaskScales().updated(["a", "b"], [[0.0, 1.0], [1.0, 1.0]])
    assert scales.std("a") == 0.5
    assert scales.std("b") is None
    assert scales.updated(["a"], [[1.0, None]]) == scales
    assert scales.updated(["a"], [[0.0, None, 1.0]]) == scales  # the same spread; a missing reward is not a zero
