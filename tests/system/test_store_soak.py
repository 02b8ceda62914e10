from soak_store import soak


def test_two_processes_agree_with_their_models(tmp_path):
    said = soak(tmp_path / "data", 4.0, 2)
    assert all("operations" in line for line in said)
