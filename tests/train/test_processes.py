"""Two real processes average their gradients and stop together."""

import json
import subprocess
import sys

import torch

from anymask.train.processes import Processes

SCRIPT = """
import json, sys, torch
from pathlib import Path
from anymask.train.processes import Processes

processes = Processes.join(torch.device("cpu"))
seen, unseen = torch.zeros(3, requires_grad=True), torch.zeros(2, 2, requires_grad=True)
seen.grad = torch.tensor([1.0, 2.0, 3.0]) * (processes.rank + 1)
if processes.rank == 1:
    unseen.grad = torch.full((2, 2), 4.0)
first = processes.average_gradients([seen, unseen], stop=False)
averaged = [seen.grad.tolist(), unseen.grad.tolist()]
second = processes.average_gradients([seen], stop=processes.rank == 1)
facts = {"count": processes.count, "averaged": averaged, "stops": [first, second]}
Path(sys.argv[1], f"{processes.rank}.json").write_text(json.dumps(facts))
"""


def test_two_processes_average_and_agree_to_stop(tmp_path):
    script = tmp_path / "share.py"
    script.write_text(SCRIPT)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*start, str(script), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        facts = json.loads((tmp_path / f"{rank}.json").read_text())
        assert facts["count"] == 2
        # The mean of 1, 2, 3 and its double; where one process had no gradient it counts as zero.
        assert facts["averaged"] == [[1.5, 3.0, 4.5], [[2.0, 2.0], [2.0, 2.0]]]
        assert facts["stops"] == [False, True]


def test_alone_nothing_is_averaged():
    alone = Processes.join(torch.device("cpu"))
    value = torch.zeros(2, requires_grad=True)
    value.grad = torch.tensor([1.0, 2.0])
    assert (alone.rank, alone.count) == (0, 1)
    assert alone.average_gradients([value], stop=True)
    assert value.grad.tolist() == [1.0, 2.0]
