"""CSV as people and spreadsheets save it: dialects, headers, ragged rows."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.errors import InputsError
from scheduler.inputs import read_inputs
from scheduler.inputs.csv_table import read_csv
from tests.inputs.make import make_file, problem_of

NO_NAME = (
    "a.csv:2: has a value in column {}, which the header gives no name: write one, or remove the"
    " column"
)
ROW = [{"url": "https://x.org/1", "country": "de"}]


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        pytest.param("url,country\nhttps://x.org/1,de\n", ROW, id="commas"),
        pytest.param("url;country\nhttps://x.org/1;de\n", ROW, id="semicolons"),
        pytest.param("url\tcountry\nhttps://x.org/1\tde\n", ROW, id="tabs"),
        pytest.param("url|country\nhttps://x.org/1|de\n", ROW, id="bars"),
        pytest.param("url,country\r\nhttps://x.org/1,de\r\n", ROW, id="CRLF"),
        pytest.param("url,country\rhttps://x.org/1,de\r", ROW, id="CR alone"),
        pytest.param("url,country\nhttps://x.org/1,de", ROW, id="no newline at the end"),
        pytest.param("\n  \nurl;country\nhttps://x.org/1;de", ROW, id="blank lines above"),
        pytest.param(
            "url,country\n\nhttps://x.org/1,de\n , \n,\n\n", ROW, id="blank lines and rows"
        ),
        pytest.param(" url ,country\t\nhttps://x.org/1,de", ROW, id="spaces around names"),
        pytest.param('"url";"country"\n"https://x.org/1";"de"', ROW, id="all in quotes"),
        pytest.param(
            'url;n\n"https://x.org/a;b";1', [{"url": "https://x.org/a;b", "n": "1"}], id="quoted"
        ),
        pytest.param(
            '"last, first, or both";url\nx;y',
            [{"last, first, or both": "x", "url": "y"}],
            id="delimiters in a quoted name",
        ),
        pytest.param('"a ""b""|c|d";e\n1;2', [{'a "b"|c|d': "1", "e": "2"}], id="quotes in a name"),
        pytest.param('"a\nb";c\n1;2', [{"a\nb": "1", "c": "2"}], id="a newline in a name"),
        pytest.param('a,b\n"x\ny","1 ""2"""', [{"a": "x\ny", "b": '1 "2"'}], id="quoted newline"),
        pytest.param('a,b\n"x\r\ny",1', [{"a": "x\r\ny", "b": "1"}], id="quoted CRLF is kept"),
        pytest.param("a,b,c\n1\n2,3", [{"a": "1"}, {"a": "2", "b": "3"}], id="short rows"),
        pytest.param("a,b\n,1", [{"a": "", "b": "1"}], id="an empty value"),
        pytest.param("a\n 1 \n", [{"a": " 1 "}], id="spaces of values are kept"),
        pytest.param('a\n5" disk', [{"a": '5" disk'}], id="a quote within a plain value"),
        pytest.param("a\nx\u2028y\x0bz\x85", [{"a": "x\u2028y\x0bz\x85"}], id="odd line marks"),
    ],
)
def test_a_table_becomes_an_object_a_row(
    tmp_path: Path, text: str, inputs: list[dict[str, str]]
) -> None:
    assert read_inputs(make_file(tmp_path, "a.csv", text)) == inputs


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "a.csv: holds no inputs: write at least one", id="nothing"),
        pytest.param("\n \n", "a.csv: holds no inputs: write at least one", id="blank lines"),
        pytest.param("url,b\n", "a.csv: holds no inputs: write at least one", id="header only"),
        pytest.param("url,b\n,\n", "a.csv: holds no inputs: write at least one", id="no values"),
        pytest.param("url,,b\n1,2,3", NO_NAME.format(2), id="unnamed"),
        pytest.param("url,  \n1,2", NO_NAME.format(2), id="blank name"),
        pytest.param(
            ",,\na,b,c\n1,2,3",
            NO_NAME.format(1),
            id="no name at all",
        ),
        pytest.param(
            "\ta\nx\ty",
            NO_NAME.format(1),
            id="no name before a tab",
        ),
        pytest.param(
            'url, "country"\nhttps://x.org/1, "de"',
            "a.csv:1: a quote comes after a space: remove the space in every row",
            id="a quote after a space",
        ),
        pytest.param(
            "\nurl,b, url\n1,2,3",
            "a.csv:2: two columns are called 'url': rename one of them",
            id="one name twice",
        ),
        pytest.param(
            "https://x.org/1\nhttps://x.org/2",
            "a.csv:1: the first line holds a URL, so it is no header: name the columns above it"
            " (such as `url`), or name the file .txt if it holds a URL a line",
            id="no header",
        ),
        pytest.param(
            "a,b\n1,2\n\n3,4,5\n",
            "a.csv:4: has 3 values, the header names 2 columns:"
            " is a value with a delimiter in it not in quotes?",
            id="a long row",
        ),
        pytest.param(
            'a,b\n"1\n2",3\n4,"5\n6",7\n',
            "a.csv:4: has 3 values, the header names 2 columns:"
            " is a value with a delimiter in it not in quotes?",
            id="a long row over two lines",
        ),
        pytest.param(
            'a\n1\n"2\n3\n4\n',
            "a.csv:3: unexpected end of data: is a quote in this row not closed, or not doubled?",
            id="an open quote",
        ),
        pytest.param(
            'a\n1\n"2" 3\n',
            "a.csv:3: ',' expected after '\"': is a quote in this row not closed, or not doubled?",
            id="text after a quote",
        ),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert problem_of(make_file(tmp_path, "a.csv", text)) == problem


def test_a_field_may_be_longer_than_the_csv_module_takes_by_itself(tmp_path: Path) -> None:
    page = "x" * 300_000

    inputs = read_inputs(make_file(tmp_path, "a.csv", f"html\n{page}\n"))

    assert inputs == [{"html": page}]


def test_a_long_row_is_found_by_its_line_in_a_long_file(tmp_path: Path) -> None:
    text = "a,b\n" + "1,2\n" * 50_000 + "1,2,3\n"

    assert problem_of(make_file(tmp_path, "a.csv", text)).startswith("a.csv:50002: has 3 values")


def test_a_header_of_many_quotes_is_read_in_no_time() -> None:
    header = '"' + '""' * 200_000

    # A pattern that backtracks would try for hours before csv has its say.
    with pytest.raises(InputsError, match="unexpected end of data"):
        read_csv(header, "a.csv")


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1f"))
names = cells.map("n{}".format).map(str.strip).filter(lambda name: "://" not in name)


@given(
    header=st.lists(names, min_size=1, max_size=4, unique=True),
    values=st.lists(cells.map("v{}".format), min_size=1, max_size=4),
    delimiter=st.sampled_from(",;\t|"),
)
def test_whatever_is_written_as_csv_is_read_back(
    header: list[str], values: list[str], delimiter: str
) -> None:
    header = [*header, "a last column"]
    row = [*values[: len(header) - 1], "x"]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([header, row])

    assert read_csv(out.getvalue(), "a.csv") == [dict(zip(header, row, strict=False))]
