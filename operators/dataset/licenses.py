"""The licenses of COCO's images: their names, and which images a recipe may show."""

from collections import Counter
from collections.abc import Collection

from temporay.operators.errors import UserError
from temporay.operators.records import Scene

NO_LICENSE = 0  # the id by which a recipe allows images that name no license
COCO_LICENSES = {  # ids of the `licenses` list in COCO's annotation files
    1: "CC BY-NC-SA 2.0",
    2: "CC BY-NC 2.0",
    3: "CC BY-NC-ND 2.0",
    4: "CC BY 2.0",
    5: "CC BY-SA 2.0",
    6: "CC BY-ND 2.0",
    7: "no known copyright restrictions",
    8: "United States Government work",
}


def allowed_scenes(scenes: tuple[Scene, ...], licenses: Collection[int]) -> tuple[tuple[Scene, ...], dict[str, int]]:
    """Return the scenes under some licenses, and how many were left out, as ``license_<id>``.

    Raises:
        UserError: none is left.
    """
    allowed = tuple(s for s in scenes if (s.license_id or NO_LICENSE) in licenses)
    ids = Counter(s.license_id or NO_LICENSE for s in scenes)
    left_out = {f"license_{number}": n for number, n in sorted(ids.items()) if number not in licenses}
    if not allowed:
        found = ", ".join(f"{n} with {name}" for name, n in left_out.items())
        raise UserError(
            f"coco.licenses is {' '.join(map(str, licenses))}, but no image has one of these ({found}; {NO_LICENSE} is "
            "none at all); add the ids that you may use"
        )
    return allowed, left_out


def license_name(license_id: object) -> str:
    """Return the name of a license, for the dataset card."""
    if not license_id:
        return "no license named"
    return COCO_LICENSES.get(license_id, f"license id {license_id}") if isinstance(license_id, int) else str(license_id)
