"""What a second of sound costs: the rows run, and the stored table is complete and agrees with itself."""

import importlib.util
import io
import json
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("speed", ROOT / "benchmarks" / "student_speed.py")
speed = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(speed)

RATES = {"threads", "samples_per_second", "real_time_factor", "times_real_time", "times_naive"}
MEASURED = RATES | {"memory_mb", "loaded_mb"}


def agrees(facts: dict) -> None:
    """Every figure that follows from others does, up to its rounding to four digits."""
    near = lambda value: pytest.approx(value, rel=2e-3)
    for name, row in facts["rows"].items():
        assert all(value > 0 for value in row.values()), name
        assert row["memory_mb"] >= row["loaded_mb"], name
        assert row["times_real_time"] == near(row["samples_per_second"] / facts["rate"]), name
        assert row["real_time_factor"] == near(1 / row["times_real_time"]), name
        where = speed.GPU[0]
        if name not in speed.GPU:
            where = speed.label(speed.CPU[0][0], row["threads"])
        naive = facts["rows"][where]["samples_per_second"]
        assert row["times_naive"] == near(row["samples_per_second"] / naive), name
        assert row["times_naive"] == 1 or name != where


class Told:
    """A row's process that was told what to say: seconds for a sample, memory."""

    def __init__(self, *seconds: float, **memory: int) -> None:
        said = ["ready", *seconds, json.dumps(memory | {"loaded_mb": 1})]
        self.stdout, self.stdin = io.StringIO("\n".join(map(str, said)) + "\n"), io.StringIO()

    def wait(self) -> int:
        return 0

    def communicate(self) -> tuple[str, None]:
        return self.stdout.read(), None


def test_medians_over_rounds_and_the_naive_teacher_of_the_same_device_and_threads(
    tmp_path, monkeypatch
):
    """Worked by hand: what a row is compared with, and that one slow round does not count."""
    (tmp_path / "digits.json").write_text(json.dumps({"what": "told", "rate": 100}))
    rows = [speed.CPU[0], speed.CPU[1], speed.CPU[5], (speed.GPU[0], 1), (speed.GPU[2], 1)]
    processes = iter(
        [
            Told(),  # makes the networks
            Told(1, 1, 9, memory_mb=2),
            Told(0.5, 0.5, 0.5, memory_mb=3),
            Told(0.01, 7, 0.01, memory_mb=4),
            Told(0.2, 0.2, 0.2, memory_mb=5),
            Told(0.0001, 0.0001, 0.0001, memory_mb=6, gpu_mb=7),
        ]
    )
    monkeypatch.setattr(speed, "call", lambda *_, **__: next(processes))
    facts = speed.measure("digits", rows, 3, tmp_path)
    found = list(facts["rows"].values())
    assert list(facts["rows"])[2:] == ["student, PyTorch, 2 threads", speed.GPU[0], speed.GPU[2]]
    assert [row["samples_per_second"] for row in found] == [1, 2, 100, 5, 10_000]
    assert [row["times_naive"] for row in found] == [1, 1, 50, 1, 2000]
    assert [row["times_real_time"] for row in found] == [0.01, 0.02, 1, 0.05, 100]
    assert [row["memory_mb"] for row in found] == [2, 3, 4, 5, 6] and found[4]["gpu_mb"] == 7
    agrees(facts | {"rate": 100})
    assert "2,000" in speed.as_text(facts | {"receptive_field": 1}).splitlines()[-1]


@pytest.mark.slow
def test_rows_run_each_in_a_process_of_its_own(tmp_path, monkeypatch):
    """Two rounds of four rows, a few samples each; no time is asserted."""
    pytest.importorskip("onnx", reason='ONNX is optional: pip install "onnx>=1.16"')
    pytest.importorskip("onnxruntime", reason="the file is run by onnxruntime, which is not here")
    rows = [("teacher, naive", 1), ("teacher, cached, numpy", 1), ("student, PyTorch", 1)]
    rows.append(("student, onnxruntime", 1))
    facts = speed.measure("digits", rows, 2, tmp_path)
    assert list(facts["rows"]) == [speed.label(*row) for row in rows]
    assert all(set(row) == MEASURED for row in facts["rows"].values())
    agrees(facts)
    assert len(speed.as_text(facts).splitlines()) == 2 + len(rows)
    small, large = (facts["rows"][speed.label(*rows[k])]["loaded_mb"] for k in (3, 2))
    assert small < large  # onnxruntime's process has no PyTorch in it


@pytest.mark.slow
def test_every_way_makes_the_sound_it_is_timed_for(tmp_path):
    """One network makes the same sound by each of its rows, and as much as the row divides by."""
    pytest.importorskip("onnx", reason='ONNX is optional: pip install "onnx>=1.16"')
    pytest.importorskip("onnxruntime", reason="the file is run by onnxruntime, which is not here")
    threads = torch.get_num_threads()
    with torch.no_grad():
        speed.prepare("digits", tmp_path)
        facts = json.loads((tmp_path / "digits.json").read_text())
        assert facts == {k: v for k, v in stored()["sizes"]["digits"].items() if k != "rows"}
        ways = [speed.by_onnxruntime("digits", 1, tmp_path)]
        ways.append(speed.by_torch("student, PyTorch", "digits", threads, tmp_path))
        said = [(torch.as_tensor(run()), n) for run, n in ways]
        assert all(x.shape == (1, 1, n) and n == 8000 * speed.SECONDS for x, n in said)
        assert said[0][0].std() > 0 and (said[0][0] - said[1][0]).abs().max() < 1e-4
        said = []
        for way in ("naive", "cached, numpy", "cached, numba"):
            run, n = speed.by_torch(f"teacher, {way}", "digits", threads, tmp_path)
            said.append(run()[0, 0, -n:])  # the naive one has silence before it
            assert len(said[-1]) == n and said[-1].std() > 0, way
    # the two are given their noise in one order: one starts as the other
    assert (said[1][:200] - said[2][:200]).abs().max() < 1e-3


def stored() -> dict:
    return json.loads(speed.FILE.read_text())


def test_the_stored_table_is_complete_and_agrees_with_itself():
    card = stored()
    assert {"command", "machine", "torch", "onnxruntime", "rounds", "seconds", "gpu"} <= set(card)
    assert card["paper"] == speed.PAPER and card["gpu_rows"] == list(speed.GPU)
    assert list(card["sizes"]) == list(speed.SIZES)
    wanted = [speed.label(*row) for row in speed.CPU] + list(speed.GPU if card["gpu"] else ())
    for facts in card["sizes"].values():
        assert list(facts["rows"]) == wanted
        assert all(set(row) - {"gpu_mb"} == MEASURED for row in facts["rows"].values())
        agrees(facts)


@pytest.mark.parametrize("size", speed.SIZES)
def test_the_stored_facts_are_those_of_the_networks(size):
    """New weights or another recipe: measure again."""
    teacher, student = speed.networks(size)
    facts = stored()["sizes"][size]
    assert facts["what"] == speed.SIZES[size] and facts["rate"] == student.spec.rate
    assert facts["receptive_field"] == teacher.wavenet.receptive_field
    for model, name in ((teacher, "teacher_weights"), (student, "student_weights")):
        assert facts[name] == sum(weight.numel() for weight in model.parameters())
