"""Operations on a hidden state: what they lead to, forward from the first state or backward from the last one."""

from abc import abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from temporay.operators.primitives._base import Doubt, Facts, Primitive
from temporay.operators.primitives.states._play import Course, Operation, State

Played = tuple[State, Course]  # the state that is shown, and all operations in their order


class Operations(Primitive[Played]):
    """A question about a state that is changed by one operation after another."""

    @abstractmethod
    def apply(self, state: State, operation: Operation) -> State | None:
        """Return the state after the operation; None where it cannot be done."""

    def inverse(self, operation: Operation) -> Operation:
        """Return the operation that undoes this one: the same with its last two arguments exchanged."""
        return (*operation[:-2], operation[-1], operation[-2])

    def beyond(self, state: State, operation: Operation, at_start: bool) -> State | None:
        """Return the state on the other side of an operation, as seen from the shown one; None if there is none."""
        return self.apply(state, operation if at_start else self.inverse(operation))

    def walked(self, revealed: State, facts: Facts, choose: Callable[[State], Operation]) -> Course:
        """Return operations that can be done one after the other, going from the shown state step by step.

        Args:
            choose: proposes a step from a state. It is asked again where the step cannot be done.
        """
        at_start, state, course = facts["at_start"], revealed, list[Operation]()
        while len(course) < facts["num_operations"]:
            step = choose(state)
            after = self.apply(state, step)
            if after is not None:
                course.append(step if at_start else self.inverse(step))
                state = after
        return tuple(course if at_start else course[::-1])

    def states(self, revealed: State, course: Course, at_start: bool) -> list[State] | None:
        """Return the states before the first operation and after each; None where one of them cannot be done."""
        states = [revealed]
        for operation in course if at_start else course[::-1]:
            state = self.beyond(states[-1], operation, at_start)
            if state is None:
                return None
            states.append(state)
        return states if at_start else states[::-1]

    def reordered(self, rng: np.random.Generator, revealed: State, course: Course, at_start: bool) -> Course:
        """Order the operations anew, one after the other from the shown state; () where none of the rest can be done.

        No operation follows its like or its inverse: frames that show one of both could not tell the two apart.
        """
        state, left, done = revealed, [course[i] for i in rng.permutation(len(course))], list[Operation]()
        while left:
            for operation in left:
                if done and operation in (done[-1], self.inverse(done[-1])):
                    continue
                after = self.beyond(state, operation, at_start)
                if after is not None:
                    break
            else:
                return ()
            state = after
            done.append(operation)
            left.remove(operation)
        return tuple(done if at_start else done[::-1])

    def resolved(self, revealed: State, seen: Sequence[Operation], at_start: bool) -> Course:
        """Return the operations, each in the direction that the state before it allows.

        One frame in the middle of an operation looks the same in both directions.

        Raises:
            Doubt: one of them can be done in neither.
        """
        state, course = revealed, list[Operation]()
        for operation in seen if at_start else reversed(seen):
            for one in (operation, self.inverse(operation)):
                after = self.beyond(state, one, at_start)
                if after is not None:
                    break
            else:
                raise Doubt
            state = after
            course.append(one)
        return tuple(course if at_start else course[::-1])
