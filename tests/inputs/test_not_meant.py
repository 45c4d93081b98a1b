"""Inputs that cannot be meant are refused with their place; those that hardly are, are told."""

import json
from pathlib import Path

import pytest

from scheduler.inputs import read_inputs
from tests.inputs.make import make_file, problem_of

URL = "https://shop.example.com/p/1"


def warnings_of(folder: Path, name: str, text: str) -> str:
    told: list[str] = []
    read_inputs(make_file(folder, name, text), warn=told.append)
    return "\n".join(told)


@pytest.mark.parametrize(
    "line",
    [
        "url",
        "shop.example.com/p/1",
        f"{URL}\tde",
        f"{URL},",
        f"{URL};",
        f'"{URL}",',
        f"'{URL}'",
        f"- {URL}",
        f"* {URL}",
        f"1. {URL}",
        f"[shop]({URL})",
        f"<{URL}>",
        f"{URL} # best",
        f"{URL},{URL}",
        f"2026-11-29 09:00 GET {URL} 200",
        f'{{"url": "{URL}"}}',
        f"{URL}|de",
        "https://",
        "https:///p/1",
        f"\u200b{URL}",
        f"{URL}\ufeff",
        "<<<<<<< HEAD",
        "=======",
        "<!DOCTYPE html>",
        "ftp://shop.example.com/1",
    ],
)
def test_a_line_that_is_no_url_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    problem = problem_of(make_file(tmp_path, "a.txt", f"{URL}\n{line}\n{URL}\n"))

    assert problem.startswith("a.txt:2: ")
    assert problem.endswith("; columns go into a .csv with a header")


@pytest.mark.parametrize(
    "url",
    [
        "https://x.org/a,b;c?q=1,https://y.org#top",
        "HTTP://user:pw@x.org:8080/(a)/'b'/",
        "https://x.org/{id}?d={due_at:%Y-%m-%d %H:%M}",
        "https://münchen.example/ü",
        "https://web.archive.org/web/2026/https://x.org/",
        "http://[::1]:80/",
    ],
)
def test_odd_urls_are_urls(tmp_path: Path, url: str) -> None:
    assert read_inputs(make_file(tmp_path, "a.txt", f"{url}\n")) == [{"url": url}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<!DOCTYPE html>\n<html>\n<body>503</body>\n", "a.csv:1: is HTML or XML"),
        ("\n<?xml version='1.0'?>\n<Error/>\n", "a.csv:2: is HTML or XML"),
        ('{\n "error": "unauthorized"\n}\n', "a.csv:1: is JSON"),
        (f'"url,country"\n"{URL},de"\n', "a.csv:1: is one name with a delimiter in it"),
        (f"+-----+\n| url |\n+-----+\n| {URL} |\n", "a.csv:1: is a line of signs"),
        ("# exported 2026-11-29\nurl\nx\n", "a.csv:1: is a comment"),
        ("# exported, by me\nurl,n\nx,1\n", "a.csv:1: is a comment"),
        ("url\nx\n<<<<<<< HEAD\ny\n=======\nz\n>>>>>>> b\n", "a.csv:3: is a mark of a merge"),
        ("url,n\nx,1\n=======\ny,2\n", "a.csv:3: is a mark of a merge"),
        ("<<<<<<< HEAD\nurl\nx\n", "a.csv:1: is a mark of a merge"),
        ("url,n\nx,#N/A\n", "a.csv:2: holds a spreadsheet's error"),
        ('url,tags\nhttps://x.org/1, "a"\n', "a.csv:2: a quote comes after a space"),
        ("url\nx\n\x1a", "a.csv:3: holds a Ctrl-Z"),
        (",url\n0,x\n1,y\n", "a.csv:2: has a value in column 1, which the header gives no name"),
        (",".join(f"c{n}" for n in range(1001)) + "\n1\n", "a.csv:1: has 1001 columns"),
    ],
)
def test_a_table_of_something_else_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert problem_of(make_file(tmp_path, "a.csv", text)).startswith(problem)


@pytest.mark.parametrize(
    "text",
    [
        "url;country;\nx;de;\n",
        "url,country,,\nx,de\n",
        "url,country\nx,de,,\n",
        "url,,country\nx,,de\n",
    ],
)
def test_a_column_without_a_name_and_a_value_is_left_out(tmp_path: Path, text: str) -> None:
    assert read_inputs(make_file(tmp_path, "a.csv", text)) == [{"url": "x", "country": "de"}]


@pytest.mark.parametrize(
    "value",
    [
        {"url": {"0": URL, "1": URL}},
        {"columns": ["url"], "index": [0], "data": [[URL]]},
        {"schema": {}, "data": [{"url": URL}]},
        {"input": [{"url": URL}]},
        {"data": [{"url": URL}], "total": 1},
        {"urls": [URL]},
        {"items": [], "next": None},
        {"message": "Not Found", "status": 404},
        {URL: 1},
        {"type": "FeatureCollection", "features": [{"properties": {"url": URL}}]},
        {"title": "shops", "_links": {"self": URL}, "_embedded": {"items": []}},
        {"type": "about:blank", "title": "Unauthorized", "status": 401, "traceId": "0"},
    ],
)
def test_one_object_of_another_shape_is_refused(tmp_path: Path, value: object) -> None:
    problem = problem_of(make_file(tmp_path, "a.json", json.dumps(value)))

    assert problem.startswith("a.json: is ")
    assert "in an array: [{…}]" in problem


def test_one_object_that_is_an_input_is_one(tmp_path: Path) -> None:
    for one in ({"url": URL, "pages": [1, 2]}, {"keyword": "pizza", "count": 2}):
        assert read_inputs(make_file(tmp_path, "a.json", json.dumps(one))) == [one]
        assert read_inputs(make_file(tmp_path, "b.json", json.dumps([one]))) == [one]


def test_an_error_that_somebody_answered_is_no_input(tmp_path: Path) -> None:
    lines = make_file(tmp_path, "a.jsonl", f'{{"url":"{URL}"}}\n{{"error":"no","code":5}}\n')
    array = make_file(tmp_path, "a.json", '[{"error": "unauthorized"}]')

    alone = make_file(tmp_path, "b.json", '{"errors": [{"title": "no"}]}')

    assert "is an error that somebody answered" in problem_of(alone)
    assert problem_of(lines).startswith("a.jsonl:2: is an error that somebody answered")
    assert "input 1 is an error that somebody answered" in problem_of(array)


@pytest.mark.parametrize(
    "value",
    [
        {"Error": "no"},
        {"errorMessage": "no", "status_code": 500},
        {"status": "error", "code": 500},
        {"success": False},
        {"exception": "no", "trace": []},
    ],
)
def test_an_error_is_known_however_its_keys_are_written(tmp_path: Path, value: object) -> None:
    file = make_file(tmp_path, "a.json", json.dumps([value]))

    assert "is an error that somebody answered" in problem_of(file)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'[{{"a":{"[" * 900}{"]" * 900}}}]', "input 1 is nested too deeply: 64 levels"),
        (f'[{{"a":{"[" * 66}{"]" * 66}}}]', "input 1 is nested too deeply: 64 levels"),
        (json.dumps([{f"k{n}": n for n in range(1001)}]), "input 1 has 1001 fields"),
    ],
)
def test_an_object_without_measure_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in problem_of(make_file(tmp_path, "a.json", text))


@pytest.mark.parametrize(
    ("name", "text", "warning"),
    [
        ("a.csv", f"url\n{URL}\nhttps://shop.exam", "no line break at its end"),
        ("a.txt", f"{URL}\nhttps://shop.exam", "no line break at its end"),
        ("a.txt", f"{URL},de\n{URL},fr\n", "each line has a ','"),
        ("a.csv", f"url,n\n{URL},1\n,2\n", "a.csv:3: its url is empty"),
        ("a.csv", "url\nshop.example.com\n", "a.csv:2: its url is no URL"),
        ("a.csv", f"url\n{URL}\tde\n", "a.csv:2: its url holds '\\t'"),
        ("a.csv", f"Unnamed: 0,url\n0,{URL}\n", "'Unnamed: 0', which nobody"),
        ("a.csv", f"0,url\n0,{URL}\n", "'0', which nobody"),
        ("a.json", f'[{{"input":[{{"url":"{URL}"}}]}}]', "input 1: holds nothing but lists"),
        ("a.jsonl", f'{{"urls":["{URL}"]}}\n', "a.jsonl:1: holds nothing but lists"),
        ("a.json", f'[{{"total":1,"shops":{{"a":{{"url":"{URL}"}}}}}}]', "nothing but lists"),
        ("a.json", '[{"url":null}]', "input 1: its url is no text"),
        ("a.json", "[{}]", "input 1: has no fields"),
        ("a.csv", f"url\n{URL}\u00a0\n", "a.csv:2: its url holds"),
        ("a.csv", "URL\nshop.example.com\n", "a.csv:2: its URL is no URL"),
        ("a.csv", "Link,n\n,1\n", "a.csv:2: its Link is empty"),
        ("a.json", '[{"product_url":"N/A"}]', "input 1: its product_url is no URL"),
        ("a.json", '[{"pageUrl":"https://a.example/ b"}]', "input 1: its pageUrl holds ' '"),
        ("a.json", '[{"href":7}]', "input 1: its href is no text"),
        ("a.json", '[{"a":"URL"}]', "input 1: has the value 'url'"),
        ("a.csv", f"Exported 2026\nurl\n{URL}\n", "has the value 'url'"),
        ("a.csv", f"\u200bkeyword,url\nx,{URL}\n", "which nobody seems to have named"),
        ("a.csv", f"url\nhttps://a{URL}\n", "holds two URLs"),
        ("a.csv", f"id,url\n1,{URL}\n2\n", "a.csv:3: ends before its url"),
        ("a.json", f'[{{"status":"ok","results":[{{"url":"{URL}"}}]}}]', "is it an envelope"),
        ("a.csv", f"url\nhttps://x.org/1{URL}\n", "holds two URLs"),
    ],
)
def test_what_is_hardly_meant_is_told(tmp_path: Path, name: str, text: str, warning: str) -> None:
    assert warning in warnings_of(tmp_path, name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", f"url,n\n{URL},1\n"),
        ("a.csv", "keyword\npizza\n"),
        ("a.json", '[{"keyword":"pizza","filters":[{"open":true}]}, {"status":"open"}]'),
        ("a.txt", "https://archive.example.org/web/https://example.org/\n"),
        ("a.txt", f"{URL}\n{URL},2\n"),
        ("a.json", f'[{{"url":"{URL}"}}, {{"keyword":"pizza"}}]'),
        ("a.jsonl", f'{{"url":"{URL}"}}'),
    ],
)
def test_what_is_surely_meant_is_no_matter(tmp_path: Path, name: str, text: str) -> None:
    assert warnings_of(tmp_path, name, text) == ""
