"""The plan of a sample as JSON values, which the page's script draws over the clip.

ScenePlan -> tracks and shots, positions in pixels of the frame -> JSON
"""

import json
from typing import Any

import numpy as np
from temporay.operators.records import ScenePlan, Shot, Track


def overlay_of(plan: ScenePlan) -> dict[str, Any]:
    """Return tracks and shots of a plan as JSON values, positions in pixels of the frame."""
    return {
        "tracks": [_track_json(track) for track in plan.tracks],
        "shots": [_shot_json(shot, plan.width, plan.height) for shot in plan.shots],
    }


def script_json(tree: object) -> str:
    """Return JSON that cannot end the script element around it."""
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")


def _track_json(track: Track) -> dict[str, Any]:
    return {
        "name": track.label or track.name,
        "color": list(track.color),
        "radius": round(track.radius_px, 1),
        "xy": np.round(track.xy_T2, 1).tolist(),
        "visible": track.visible_T.astype(int).tolist(),
        "wraps": track.wraps,
        "scale": None if track.scale_T is None else np.round(track.scale_T, 2).tolist(),
    }


def _shot_json(shot: Shot, width: int, height: int) -> dict[str, Any]:
    corners_43 = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], float)
    caption = shot.scene.captions[0] if shot.scene.captions else str(shot.scene.image_id)
    corners_T42 = np.einsum("tij,kj->tki", shot.affine_T23, corners_43)
    return {
        "name": caption,
        "start": shot.start_frame,
        "end": shot.end_frame,
        "corners": np.round(corners_T42, 1).tolist(),
    }
