"""What tells a person is taken out of lines, and what only looks like it stays."""

from __future__ import annotations

import json

import pytest

from risklake.clearing import Clearing, names_of
from risklake.person import Person, is_distinctive, tells_anywhere


def cleared(line: str, user_id: str, **found: tuple[str, ...]) -> str:
    return Clearing(person(user_id, **found)).line(line.encode()).decode()


def person(user_id: str, everywhere: tuple[str, ...] = (), own: tuple[str, ...] = ()) -> Person:
    return Person(user_id, user_id, "TOKEN", everywhere, own)


@pytest.mark.parametrize(
    "line",
    {
        "an amount": '{"user_id":"7","amount":42.5}',
        "a whole amount": '{"user_id":"7","amount":42}',
        "a time": '{"user_id":"7","event_time":"2026-01-05T10:42:00Z"}',
        "the id of something else": '{"user_id":"7","event_id":"42"}',
        "a value that nobody declared": '{"user_id":"7","zip":"42"}',
        "a name of a field": '{"user_id":"7","42":"x"}',
        "a part of another id": '{"user_id":"142"}',
        "text of others": '{"user_id":"7","note":"room 42"}',
        "no JSON at all": "42",
    }.values(),
)
def test_a_number_that_is_no_id_stays_though_the_id_is_the_same_number(line: str) -> None:
    assert cleared(line, "42") == line


@pytest.mark.parametrize(
    "line",
    {
        "a name of a field": '{"user_id":"u7","u1":"x"}',
        "the id of something else": '{"event_id":"u1","user_id":"u7"}',
        "a file": '{"file":"in/u1.jsonl"}',
        "a longer id": '{"user_id":"u1-b","note":"u12 and u1.x and xu1"}',
    }.values(),
)
def test_where_a_distinctive_id_means_something_else_it_stays(line: str) -> None:
    assert cleared(line, "u1") == line


@pytest.mark.parametrize(
    ("user_id", "line", "expected"),
    {
        "a text": ("42", '{"user_id": "42","amount":42}', '{"user_id": "TOKEN","amount":42}'),
        "a number": ("42", '{"user_id":42,"amount":42}', '{"user_id":"TOKEN","amount":42}'),
        "the last number": ("42", '{"user_id": 42 }', '{"user_id": "TOKEN" }'),
        "escaped": ("josé", r'{"user_id":"jos\u00e9"}', '{"user_id":"TOKEN"}'),
        "escaped in capitals": ("josé", r'{"user_id":"jos\u00E9"}', '{"user_id":"TOKEN"}'),
        "plain": ("josé", '{"user_id":"josé"}', '{"user_id":"TOKEN"}'),
        "a slash": ("a/b", r'{"user_id":"a\/b"}', '{"user_id":"TOKEN"}'),
        "beyond the first plane": ("😀", r'{"user_id":"\uD83D\ude00"}', '{"user_id":"TOKEN"}'),
        "quotes": ('a"b', r'{"user_id":"a\"b"}', '{"user_id":"TOKEN"}'),
        "cut off": ("42", '{"amount":42,"user_id":"42', '{"amount":42,"user_id":"TOKEN"'),
        "cut off, a number": ("42", '{"amount":42,"user_id":42', '{"amount":42,"user_id":"TOKEN"'),
        "in a message": ("42", "user_id 42: too fast", "user_id TOKEN: too fast"),
        "in text": ("u1", r'{"user_id":"u7","note":"of\nu1."}', r'{"user_id":"u7","note":"of\nTOKEN."}'),
        "no JSON": ("u1", "{u1, 3", "{TOKEN, 3"),
    }.values(),
)
def test_the_id_goes_where_it_means_the_user_however_it_is_spelled(user_id: str, line: str, expected: str) -> None:
    assert cleared(line, user_id) == expected


def test_in_a_line_of_the_person_also_values_that_nobody_declared_and_sentences_go() -> None:
    line = '{"user_id":"42","payer":"42","event_id":"42","reason":"42 paid 42.5 at 10:42:00","rank":42}'
    expected = '{"user_id":"TOKEN","payer":"TOKEN","event_id":"42","reason":"TOKEN paid 42.5 at 10:42:00","rank":42}'
    assert cleared(line, "42") == expected


def test_mail_goes_in_any_letter_case_and_a_longer_address_stays() -> None:
    found = {"everywhere": ("siti@mail.id", "+62 812 345")}
    assert cleared('{"note":"to SITI@Mail.id, +62 812 345."}', "u1", **found) == '{"note":"to forgotten, forgotten."}'
    assert cleared(r'{"note":"\u003cs\u0069ti@mail.id\u003e"}', "u1", **found) == r'{"note":"\u003cforgotten\u003e"}'
    for other in ("xsiti@mail.id", "siti@mail.id.example", "a+siti@mail.id", "+62 812 3456"):
        assert cleared(other, "u1", **found) == other


def test_a_phone_number_that_json_holds_as_a_number_becomes_a_text() -> None:
    found = {"everywhere": ("62812345678",)}
    line = '{"tel": 62812345678,"amount":62812345678.5,"note":"at 62812345678, or"}'
    assert cleared(line, "u1", **found) == (
        '{"tel": "forgotten","amount":62812345678.5,"note":"at forgotten, or"}'
    )  # fmt: skip


def test_a_name_goes_from_lines_of_the_person_only_and_never_from_names_of_fields() -> None:
    line = '{"user_id":"u1","name":"Al","Al":1,"email":"x","channel":"Al","title":"Al, Alan"}'
    assert cleared(line, "u1", own=("Al",)) == (
        '{"user_id":"TOKEN","name":"forgotten","Al":1,"email":"x","channel":"Al","title":"forgotten, Alan"}'
    )
    assert cleared(line.replace("u1", "u2"), "u1", own=("Al",)) == line.replace("u1", "u2")


def test_what_is_cleared_is_cleared_and_stays_json() -> None:
    who = {"everywhere": ("siti@mail.id",), "own": ("Siti",)}
    line = cleared('{"user_id":"u1","name":"Siti","email":"SITI@mail.id","amount":1.5}', "u1", **who)
    assert json.loads(line) == {"user_id": "TOKEN", "name": "forgotten", "email": "forgotten", "amount": 1.5}
    assert cleared(line, "u1", **who) == line


@pytest.mark.parametrize(
    ("record", "expected"),
    {
        "a cell": ("42,Al,x,app", "TOKEN,forgotten,x,app"),
        "in quotes, before a carriage return": ('"42",Al,x,"42"\r', 'TOKEN,forgotten,x,TOKEN\r'),
        "of others": ("7,Al,42,42", "7,Al,42,42"),
        "no number of values": ("42,Al", "TOKEN,forgotten"),
        "what stands in quotes": ('42,"Al, ""x""\nAlan",,', 'TOKEN,"forgotten, ""x""\nAlan",,'),
    }.values(),
)  # fmt: skip
def test_a_record_of_csv_is_cleared_cell_by_cell(record: str, expected: str) -> None:
    names, separator = names_of(b"\xef\xbb\xbfuser_id,name,country,source")
    found = Clearing(person("42", own=("Al",))).record(record.encode(), names, separator)
    assert found.decode() == expected


def test_first_values_that_stand_in_the_place_of_a_header_are_cleared_too() -> None:
    found = Clearing(person("42", ("siti@mail.id",), ("Siti",))).record(b"42,Siti,Siti@mail.id,7", (), b",")
    assert found == b"TOKEN,forgotten,forgotten,7"


def test_an_id_is_distinctive_with_letters_and_digits_or_as_an_address() -> None:
    assert [is_distinctive(i) for i in ("u1", "a@b", "42", "anna", "a/b", "josé")] == [True, True, *[False] * 4]


def test_a_placeholder_tells_nobody() -> None:
    assert tells_anywhere("email", "a@b.id")
    assert tells_anywhere("phone", "+62 812 345")
    for kind, value in (("email", "n/a"), ("email", "@"), ("phone", "-"), ("phone", "112"), ("name", "a@b.id")):
        assert not tells_anywhere(kind, value)
