"""A program that writes to a store in processes of its own, and kills them in the middle of it.

``python killed_writers.py FOLDER LIVES WRITERS SEED`` runs LIVES rounds of WRITERS processes on one project, all killed
by SIGKILL after a random while, and prints a JSON list of the states whose storing had been confirmed before.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from anymask.engine.annotation import Outcome
from anymask.engine.store import Store
from engine.changing import after, change, new_object, random_counts


def write_for_ever(folder: str, out: int, seed: int) -> None:
    """Make objects and change them, and tell of each change once it is confirmed."""
    generator = random.Random(seed)
    with Store.open(folder) as store:
        store.sync_pictures()
        pictures = store.picture_ids()
        while True:
            picture = generator.choice(pictures)
            first = new_object(counts=random_counts(generator), label=generator.choice([None, "car"]))
            batch = [change(first), change(after(first, counts=random_counts(generator)))]
            for changes in (batch[: generator.randint(1, 2)], [change(after(after(first), finished=True))]):
                for one, result in zip(changes, store.apply(picture, changes), strict=True):
                    if result.outcome is Outcome.STORED:
                        os.write(out, f"{picture} {one.id} {one.state.model_dump_json()}\n".encode())


def live_and_die(folder: str, writers: int, generator: random.Random) -> bytes:
    """Run writers until they have told of a random number of changes, kill them, and return what they told."""
    reading, writing = os.pipe()
    children = []
    for _ in range(writers):
        seed = generator.randrange(1 << 60)
        child = os.fork()
        if child == 0:
            os.close(reading)
            write_for_ever(folder, writing, seed)
        children.append(child)
    os.close(writing)
    told = b""
    # Every fourth is killed while it opens the project.
    enough = generator.randint(1, 40) if generator.random() < 0.75 else 0
    while told.count(b"\n") < enough:
        told += os.read(reading, 1 << 16)
    time.sleep(generator.uniform(0, 0.01))
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, f"a writer ended by itself: {status}"
    while rest := os.read(reading, 1 << 16):
        told += rest
    os.close(reading)
    return told


def main() -> None:
    """Run as the module says."""
    folder, lives, writers, seed = sys.argv[1], *map(int, sys.argv[2:])
    generator = random.Random(seed)
    # What is warm here is warm in every child.
    with Store.open(f"{folder}/trip") as other:
        other.sync_pictures()
        for picture in other.picture_ids():
            other.apply(picture, [change(new_object(label="car"))])
    confirmed = []
    for _ in range(lives):
        # A writer that was killed while it told left half a line.
        for line in live_and_die(folder, writers, generator).split(b"\n")[:-1]:
            picture, identity, state = line.decode().split(" ", 2)
            confirmed.append([int(picture), identity, json.loads(state)])
    print(json.dumps(confirmed))


if __name__ == "__main__":
    main()
