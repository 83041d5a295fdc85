"""Films: CPU-seconds of 300 frames at 1280 x 720, and what drawing only what changes saves.

The same episode of Sokoban, with thoughts of some forty words, is written as MP4 and as GIF, and its frames are drawn
two ways without encoding: each page anew, and only what changed. One thread, CPU-seconds of this process, interleaved.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from contest import finish, interleave, parse_arguments, print_rates, ratio

import lmmr1
from lmmr1.envs.recording import Page, Reel, Scene, draw_scene, write_film
from lmmr1.envs.recording.timeline import Pace, Step, scene_steps

FRAMES, SIZE, GIF_SIZE = 300, (1280, 720), (800, 450)
THOUGHT = (
    "I stand above the box and its target is to the right of it. If I push it from here it goes down to the wall and "
    "stays there, so I walk round it first and come from the left."
)


def play() -> list[Scene]:
    """Scenes of some three hundred frames."""
    env = lmmr1.make_chat("LMMR1/Sokoban-v0", num_boxes=2)
    rng = np.random.default_rng(0)
    reel = Reel("LMMR1/Sokoban-v0, a walk")
    messages, _ = env.reset(seed=1)
    names = env.chat_spec.action_names or ()
    frames = 0
    while True:
        answer = str(rng.choice(names))
        new, reward, terminated, truncated, info = env.step(env.write_reply(THOUGHT, answer))
        scene = reel.add(
            messages,
            thought=THOUGHT,
            answer=answer,
            actions=info["actions"],
            reward=float(reward),
            reward_parts=info["reward_parts"],
        )
        messages = new
        frames += sum(step.ticks for step in scene_steps(scene, Pace()))
        if frames >= FRAMES - 24 or terminated or truncated:
            return reel.end(messages, "The walk ended")


def seconds(scenes: list[Scene], path: Path, size: tuple[int, int], rounds: int) -> float:
    """The median CPU-seconds of writing a film."""
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        write_film(scenes, path, size)
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def main() -> None:
    """Measure and print."""
    options = parse_arguments(__doc__ or "")
    rounds = 3 if options.quick else 9
    scenes = play()
    steps: list[Step] = [step for scene in scenes for step in scene_steps(scene, Pace())]
    frames = sum(step.ticks for step in steps)

    def draw_changes() -> float:
        page = Page(SIZE)
        for step in steps:
            page.show(step.scene, step.moment)
        return len(steps)

    def draw_anew() -> float:
        for step in steps:
            draw_scene(step.scene, SIZE, step.moment)
        return len(steps)

    rates = interleave({"what changes": draw_changes, "every page anew": draw_anew}, rounds)
    print_rates(f"pages of {SIZE[0]} x {SIZE[1]}, drawn", rates, "pages a CPU-second")
    with TemporaryDirectory() as folder:
        mp4, gif = Path(folder) / "film.mp4", Path(folder) / "film.gif"
        whole = seconds(scenes, mp4, SIZE, rounds)
        small = seconds(scenes, gif, GIF_SIZE, rounds)
        sizes = mp4.stat().st_size / 1000, gif.stat().st_size / 1000
    print(f"MP4: {frames} frames of {SIZE[0]} x {SIZE[1]} in {whole:.2f} CPU-seconds, {sizes[0]:.0f} kB")
    print(f"GIF: the same {len(scenes) - 1} turns in {GIF_SIZE[0]} x {GIF_SIZE[1]} in {small:.2f}, {sizes[1]:.0f} kB")
    figures: dict[str, float | None] = {
        "films_300_frames_720p_cpu_seconds": whole * FRAMES / frames,
        "films_drawing_speedup": ratio(rates, "what changes", "every page anew"),
        "films_mp4_kilobytes": sizes[0],
        "films_gif_cpu_seconds": small,
        "films_gif_kilobytes": sizes[1],
    }
    finish(figures, options.json)


if __name__ == "__main__":
    main()
