"""Operations on a hidden state: what they lead to, forward from the first state or backward from the last one."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from temporay.operators.primitives._base import Primitive
from temporay.operators.primitives.states._course import Course, Operation, State


class Operations(Primitive):
    """A question about a state that is changed by one operation after another."""

    @abstractmethod
    def apply(self, state: State, operation: Operation) -> State | None:
        """Return the state after the operation; None where it cannot be done."""

    def inverse(self, operation: Operation) -> Operation:
        """Return the operation that undoes this one: the same with its last two arguments exchanged."""
        return (*operation[:-2], operation[-1], operation[-2])

    def states(self, revealed: State, course: Course, at_start: bool) -> list[State] | None:
        """Return the states before the first operation and after each; None where one of them cannot be done."""
        states = [revealed]
        for operation in course if at_start else course[::-1]:
            state = self.apply(states[-1], operation if at_start else self.inverse(operation))
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
                after = self.apply(state, operation if at_start else self.inverse(operation))
                if after is not None:
                    break
            else:
                return ()
            state = after
            done.append(operation)
            left.remove(operation)
        return tuple(done if at_start else done[::-1])

    def resolved(self, revealed: State, seen: Sequence[Operation], at_start: bool) -> Course | None:
        """Return the operations, each in the direction that the state before it allows; None where there is none.

        One frame in the middle of an operation looks the same in both directions.
        """
        state, course = revealed, list[Operation]()
        for operation in seen if at_start else reversed(seen):
            for one in (operation, self.inverse(operation)):
                after = self.apply(state, one if at_start else self.inverse(one))
                if after is not None:
                    break
            else:
                return None
            state = after
            course.append(one)
        return tuple(course if at_start else course[::-1])
