"""How a user's mistake is shown."""

import pytest

from cola_sweep.errors import ArgumentParser, UserError, run_main


def test_one_line_says_where_what_rule_and_fix() -> None:
    error = UserError("lr", got="a\nb", rule="must be\n a number", fix="write  5e-5")
    assert str(error) == "lr: got 'a\\nb'; must be a number; write 5e-5"
    assert str(UserError("server", rule="does not answer", fix="start it")) == "server: does not answer; start it"


def test_a_user_error_is_exit_code_2_and_a_bug_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def wrong() -> int:
        raise UserError("lr", rule="is missing", fix="add it")

    assert run_main(wrong) == 2
    assert capsys.readouterr().err == "error: lr: is missing; add it\n"
    assert run_main(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        run_main(lambda: 1 // 0)


def test_an_interrupt_is_one_line_and_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert run_main(interrupted) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_a_wrong_flag_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--typo", "--hel"):  # the second would be --help to argparse
        with pytest.raises(SystemExit) as end:
            ArgumentParser(prog="tool").parse_args([flag])
        assert end.value.code == 2
        assert capsys.readouterr().err == f"error: unrecognized arguments: {flag}; tool --help lists what there is\n"
