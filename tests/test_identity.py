"""Which program a result was made with."""

from onboard.identity import code_sha256


def test_the_code_is_known_by_its_sources(tmp_path, monkeypatch):
    for package in ("onboard", "sim"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "part.py").write_text("x = 1")
    monkeypatch.setattr("onboard.identity.resources.files", lambda package: tmp_path / package)
    before = code_sha256("onboard", "sim")
    (tmp_path / "notes.txt").write_text("unrelated")
    assert code_sha256("onboard", "sim") == before
    (tmp_path / "onboard" / "part.py").write_text("x = 2")
    assert code_sha256("onboard", "sim") != before
