"""Ten minutes of random operations by two processes on one store. Run by `make soak`."""

from soak_store import soak


def test_two_processes_agree_with_their_models_for_ten_minutes(tmp_path):
    print("\n".join(soak(tmp_path / "data", 600.0, 2)), flush=True)
