"""Courses of speeds, and what they are called."""

COURSES = {  # of each option: speeds that follow each other, low (-1), medium (0) or high (1), six or eight of them
    "accelerating": ((-1, -1, 0, 0, 1, 1),),
    "decelerating": ((1, 1, 0, 0, -1, -1),),
    "moving at a constant speed": ((0,) * 6,),
    "speeding up, then slowing down": ((-1, 0, 1, 1, 0, -1),),
    "slowing down, then speeding up": ((1, 0, -1, -1, 0, 1),),
    "speeding up, slowing down, then speeding up again": (
        (-1, 1, 0, -1, 0, 1),
        (-1, 0, 1, 0, -1, 1),
        (-1, 1, 0, -1, -1, 0, 1, 1),
        (-1, -1, 0, 1, 1, 0, -1, 1),
    ),
    "slowing down, speeding up, then slowing down again": (
        (1, -1, 0, 1, 0, -1),
        (1, 0, -1, 0, 1, -1),
        (1, -1, 0, 1, 1, 0, -1, -1),
        (1, 1, 0, -1, -1, 0, 1, -1),
    ),
    "speeding up and slowing down, twice": ((-1, 0, 1, 1, -1, 1, 0, -1), (-1, 1, -1, 0, 1, 1, 0, -1)),
    "slowing down and speeding up, twice": ((1, 0, -1, -1, 1, -1, 0, 1), (1, -1, 1, 0, -1, -1, 0, 1)),
}


def courses_of(option: str, num_speeds: int) -> list[tuple[int, ...]]:
    """Return the courses of an option that have so many speeds."""
    return [course for course in COURSES[option] if len(course) == num_speeds]
