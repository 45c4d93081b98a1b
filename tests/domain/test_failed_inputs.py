"""Which inputs failed, what helps against an error, and which are sent once more."""

import pytest

from scheduler.domain.answers import EchoedInputs, input_key
from scheduler.domain.errors import InvalidInput
from scheduler.domain.failed_inputs import (
    ErrorClass,
    FailedInput,
    classify,
    find_failed,
    read_retry_policy,
)
from tests.make import minutes

SENT = [{"url": f"https://example.org/{number}"} for number in range(4)]
KEYS = [input_key(item) for item in SENT]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("infra_error", ErrorClass.LATER),
        ("NET_ERR_timed_out", ErrorClass.LATER),
        ("dead_page", ErrorClass.NEVER),
        ("parse_error", ErrorClass.SCRAPER),
        ("proxy_407", ErrorClass.ACCESS),
        ("job_run_timeout", ErrorClass.CONFIGURATION),
        ("aborted_page", ErrorClass.TERMINATED),
        ("missing", ErrorClass.MISSING),
        ("Could not load the page", ErrorClass.OTHER),
    ],
)
def test_an_error_is_of_a_class_by_what_helps(error: str, kind: ErrorClass) -> None:
    assert classify(error) is kind


def test_pages_and_rows_tell_which_inputs_failed() -> None:
    """One came; of one a page and a row failed, of one a row; the last has no row."""
    dataset = EchoedInputs(
        keys=frozenset(KEYS[:3]),
        is_whole=True,
        good=frozenset(KEYS[:1]),
        errors={KEYS[1]: "blocked", KEYS[2]: "dead_page"},
    )
    errors = {SENT[1]["url"]: "infra_error", SENT[0]["url"]: "infra_error"}

    failed = find_failed(SENT, errors, dataset)

    assert [(one.position, one.error) for one in failed] == [
        (1, "blocked"),
        (2, "dead_page"),
        (3, "missing"),
    ]


def test_what_a_cut_off_dataset_lacks_is_not_missing() -> None:
    dataset = EchoedInputs(keys=frozenset(KEYS[:1]), is_whole=False, good=frozenset(KEYS[:1]))

    assert find_failed(SENT, {}, dataset) == []
    assert find_failed(SENT, {SENT[2]["url"]: "aborted"}, None) == [
        FailedInput(position=2, input=SENT[2], error="aborted")
    ]


def failing(error: str) -> FailedInput:
    return FailedInput(position=0, input={}, error=error)


def test_by_default_what_another_trigger_may_help_is_sent_once_more() -> None:
    policy = read_retry_policy({"max": 2, "after": "30m"})

    assert (policy.max, policy.after) == (2, minutes(30))
    for error in ("infra_error", "blocked", "aborted_page", "missing", "some prose"):
        assert policy.retries(failing(error))
    for error in ("dead_page", "bad_input", "parse_error", "too_many_pages"):
        assert not policy.retries(failing(error))


def test_only_names_classes_and_codes() -> None:
    policy = read_retry_policy('{"only": ["later", "parse_*"]}')

    assert policy.max == 1
    assert policy.retries(failing("worker_too_busy"))
    assert policy.retries(failing("parse_error"))
    assert not policy.retries(failing("blocked"))


@pytest.mark.parametrize(
    "given",
    [
        "no json", "[]", {"most": 1}, {"max": 0}, {"max": 11}, {"max": True}, {"max": "2"},
        {"after": "soon"}, {"after": 30}, {"only": []}, {"only": "later"}, {"only": [1]},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_policy_is_refused(given: object) -> None:
    with pytest.raises(InvalidInput):
        read_retry_policy(given)
