"""Every numbered fact about Apple's validator has its rules, or says why there are none."""

import re

from coreml_updatable.checking.rules import RULES
from docs.pages.rules import FACTS

SECTIONS = {
    "1": 13,
    "2": 19,
    "3": 11,
    "4": 3,
    "5": 10,
    "6": 6,
    "7": 15,
    "8": 9,
    "8b": 6,
    "9": 16,
    "10": 11,
    "11": 10,
    "12": 8,
}
SEVERITY = {rule.id: rule.severity for rule in RULES}


def test_the_numbering_has_no_gap() -> None:
    expected = [f"{section}.{index}" for section, last in SECTIONS.items() for index in range(1, last + 1)]
    assert [fact.number for fact in FACTS] == expected


def test_a_fact_has_rules_or_a_reason() -> None:
    for fact in FACTS:
        assert bool(fact.rules) != bool(fact.why), fact.number
        assert set(fact.rules) <= set(SEVERITY), fact.number


def test_every_rule_answers_for_a_fact_and_bears_its_number() -> None:
    answering = {rule for fact in FACTS for rule in fact.rules}
    own = {f"{letter}{fact.number}" for fact in FACTS for letter in "MNKPL"}
    for rule in SEVERITY:
        assert rule in own or re.fullmatch(r"L\d{3,4}", rule) or rule in answering, rule
        assert rule in answering or re.fullmatch(r"L\d{3,4}", rule), rule


def test_what_apple_rejects_is_an_error_and_what_it_passes_is_none() -> None:
    for fact in FACTS:
        severities = {SEVERITY[rule] for rule in fact.rules}
        if fact.apple == "rejects":
            assert "error" in severities, fact.number
        elif fact.apple in ("warns", "passes"):
            assert severities <= {"warning"}, fact.number
